import com.google.gson.Gson;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import net.handle.hdllib.AbstractMessage;
import net.handle.hdllib.AbstractRequest;
import net.handle.hdllib.AbstractResponse;
import net.handle.hdllib.AddValueRequest;
import net.handle.hdllib.AdminRecord;
import net.handle.hdllib.AuthenticationInfo;
import net.handle.hdllib.ClientSessionTracker;
import net.handle.hdllib.ClientSideSessionInfo;
import net.handle.hdllib.Common;
import net.handle.hdllib.CreateHandleRequest;
import net.handle.hdllib.CreateHandleResponse;
import net.handle.hdllib.DeleteHandleRequest;
import net.handle.hdllib.Encoder;
import net.handle.hdllib.ErrorResponse;
import net.handle.hdllib.GenericRequest;
import net.handle.hdllib.GetSiteInfoResponse;
import net.handle.hdllib.HandleException;
import net.handle.hdllib.HandleResolver;
import net.handle.hdllib.HandleValue;
import net.handle.hdllib.Interface;
import net.handle.hdllib.ListHandlesRequest;
import net.handle.hdllib.ListHandlesResponse;
import net.handle.hdllib.ListNAsRequest;
import net.handle.hdllib.ListNAsResponse;
import net.handle.hdllib.ModifyValueRequest;
import net.handle.hdllib.PublicKeyAuthenticationInfo;
import net.handle.hdllib.RemoveValueRequest;
import net.handle.hdllib.ResolutionRequest;
import net.handle.hdllib.ResolutionResponse;
import net.handle.hdllib.SecretKeyAuthenticationInfo;
import net.handle.hdllib.SessionExchangeKeyRequest;
import net.handle.hdllib.SessionSetupInfo;
import net.handle.hdllib.SessionSetupRequest;
import net.handle.hdllib.SessionSetupResponse;
import net.handle.hdllib.SimpleConfiguration;
import net.handle.hdllib.SiteInfo;
import net.handle.hdllib.Util;
import net.handle.security.HdlSecurityProvider;

/**
 * Drives net.handle:handle-client against one server and prints a line of JSON for each step.
 *
 * <p>Arguments: host, Handle port, HTTP port, prefix, key (PKCS #8, DER) at 300:0.NA/prefix, a key that is not, secret
 * at 301:0.NA/prefix, identity of a node administrator (index:handle), its key.
 */
public class HandleClientProgram {
    private static final Gson GSON = new Gson();

    private final HandleResolver resolver = new HandleResolver();
    private final InetAddress host;
    private final int port;
    private final int httpPort;
    private final String prefix;
    private final PrivateKey privateKey;
    private final AuthenticationInfo key;
    private final AuthenticationInfo wrongKey;
    private final AuthenticationInfo secret;
    private final AuthenticationInfo wrongSecret;
    private final AuthenticationInfo nodeAdmin;
    private SiteInfo site;

    interface Step {
        Object run() throws Exception;
    }

    interface Request {
        AbstractRequest make(AuthenticationInfo who) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        new HandleClientProgram(args).run();
        System.exit(0);
    }

    HandleClientProgram(String[] args) throws Exception {
        host = InetAddress.getByName(args[0]);
        port = Integer.parseInt(args[1]);
        httpPort = Integer.parseInt(args[2]);
        prefix = args[3];
        byte[] owner = utf8("0.NA/" + prefix);
        privateKey = privateKey(args[4]);
        key = new PublicKeyAuthenticationInfo(owner, 300, privateKey);
        wrongKey = new PublicKeyAuthenticationInfo(owner, 300, privateKey(args[5]));
        secret = new SecretKeyAuthenticationInfo(owner, 301, utf8(args[6]));
        wrongSecret = new SecretKeyAuthenticationInfo(owner, 301, utf8(args[6] + "!"));
        String[] admin = args[7].split(":", 2);
        nodeAdmin = new PublicKeyAuthenticationInfo(
                utf8(admin[1]), Integer.parseInt(admin[0]), privateKey(args[8]));
        resolver.setConfiguration(new SimpleConfiguration());
        resolver.setCache(null);
        resolver.setCertifiedCache(null);
    }

    void run() throws Exception {
        resolution();
        administration("key", key);
        administration("secret", secret);
        refusals();
        lists();
        oldSite();
        sessions();
        prefixes();
        step("resolve-long-often", () -> {
            int whole = 0;
            for (int i = 0; i < 100; i++) {
                AbstractResponse response = resolver.sendRequestToSite(resolve(prefix + "/HTTP-LONG"), site);
                if (((ResolutionResponse) response).getHandleValues().length == 7) whole++;
            }
            return Map.of("whole", whole);
        });
    }

    private void resolution() {
        step("site-info", () -> {
            AbstractRequest request = new GenericRequest(utf8("/"), AbstractMessage.OC_GET_SITE_INFO, null);
            AbstractResponse response = resolver.sendHdlTcpRequest(request, host, port);
            site = ((GetSiteInfoResponse) response).siteInfo;
            return seen(response);
        });
        String handle = prefix + "/HTTP-1";
        step("resolve-udp", () -> seen(resolver.sendHdlUdpRequest(resolve(handle), host, port)));
        step("resolve-tcp", () -> seen(resolver.sendHdlTcpRequest(resolve(handle), host, port)));
        step("resolve-http", () ->
                seen(resolver.sendHttpRequest(resolve(handle), host, httpPort)));
        step("resolve-folded", () -> seen(resolver.sendHdlUdpRequest(resolve(prefix + "/http-1"), host, port)));
        step("resolve-site", () -> seen(resolver.sendRequestToSite(resolve(handle), site)));
        step("resolve-fragments", () ->
                seen(resolver.sendHdlUdpRequest(resolve(prefix + "/HTTP-LONG"), host, port)));
        step("resolve-long-question", () -> {
            byte[][] types = new byte[60][];
            for (int i = 0; i < types.length; i++) types[i] = utf8("TYPE.OF.NOTHING." + i);
            types[59] = utf8("URL");
            return seen(resolver.sendHdlUdpRequest(
                    new ResolutionRequest(utf8(handle), types, null, null), host, port));
        });
        step("resolve-type", () -> seen(resolver.sendRequestToSite(
                new ResolutionRequest(utf8(handle), new byte[][] {utf8("EMAIL")}, null, null), site)));
        step("resolve-index", () -> seen(resolver.sendRequestToSite(
                new ResolutionRequest(utf8(handle), null, new int[] {2}, null), site)));
        step("resolve-type-absent", () -> seen(resolver.sendRequestToSite(
                new ResolutionRequest(utf8(handle), new byte[][] {utf8("NONE")}, null, null), site)));
        step("resolve-absent", () -> seen(resolver.sendRequestToSite(resolve(prefix + "/ABSENT"), site)));
        step("resolve-foreign", () -> seen(resolver.sendRequestToSite(resolve("10.1000/182"), site)));
        step("resolve-certified", () -> {
            AbstractRequest request = resolve(handle);
            request.certify = true;
            request.authoritative = true;
            AbstractResponse response = resolver.sendRequestToSite(request, site);
            Map<String, Object> result = seen(response);
            result.put("signed", response.signature != null && response.signature.length > 0);
            result.put("verified", response.verifyMessage(site.servers[0].getPublicKey()));
            return result;
        });
        step("resolve-digest", () -> {
            AbstractRequest request = resolve(handle);
            request.returnRequestDigest = true;
            return seen(resolver.sendRequestToSite(request, site));
        });
        step("resolve-restricted-public", () ->
                seen(resolver.sendRequestToSite(resolve("0.NA/" + prefix), site)));
        step("resolve-restricted-admin", () -> {
            ResolutionRequest request =
                    new ResolutionRequest(utf8("0.NA/" + prefix), null, new int[] {301}, key);
            request.ignoreRestrictedValues = false;
            return seen(resolver.sendRequestToSite(request, site));
        });
        step("resolve-from-the-root", () -> {
            resolver.getConfiguration().setGlobalSites(new SiteInfo[] {site});
            return seen(resolver.processRequest(resolve(handle)));
        });
    }

    /** The life of one identifier, from its creation to its deletion. */
    private void administration(String name, AuthenticationInfo who) {
        String handle = prefix + "/JAVA-" + name.toUpperCase();
        HandleValue[] values = {
            new HandleValue(1, "URL", "https://pumps.example/" + name),
            new HandleValue(2, "DESC", "泵 Pump"),
            adminValue(),
        };
        send(name + "-create", who, a -> new CreateHandleRequest(utf8(handle), values, a));
        send(name + "-create-again", who, a -> new CreateHandleRequest(utf8(handle), values, a));
        step(name + "-resolve-created", () -> seen(resolver.sendRequestToSite(resolve(handle), site)));
        send(name + "-add", who, a ->
                new AddValueRequest(utf8(handle), new HandleValue(3, "EMAIL", "desk@pumps.example"), a));
        send(name + "-add-again", who, a ->
                new AddValueRequest(utf8(handle), new HandleValue(3, "EMAIL", "x@pumps.example"), a));
        send(name + "-modify", who, a -> new ModifyValueRequest(
                utf8(handle), new HandleValue(1, "URL", "https://pumps.example/changed"), a));
        send(name + "-modify-absent", who, a ->
                new ModifyValueRequest(utf8(handle), new HandleValue(9, "URL", "https://x.example"), a));
        send(name + "-remove", who, a -> new RemoveValueRequest(utf8(handle), 2, a));
        step(name + "-resolve-changed", () -> seen(resolver.sendRequestToSite(resolve(handle), site)));
        send(name + "-delete", who, a -> new DeleteHandleRequest(utf8(handle), a));
        send(name + "-delete-again", who, a -> new DeleteHandleRequest(utf8(handle), a));
        step(name + "-resolve-deleted", () -> seen(resolver.sendRequestToSite(resolve(handle), site)));
    }

    private void refusals() {
        HandleValue[] values = {new HandleValue(1, "URL", "https://pumps.example/no")};
        String handle = prefix + "/REFUSED";
        send("create-wrong-key", wrongKey, a -> new CreateHandleRequest(utf8(handle), values, a));
        send("create-wrong-secret", wrongSecret, a -> new CreateHandleRequest(utf8(handle), values, a));
        send("create-nobody", null, a -> new CreateHandleRequest(utf8(handle), values, a));
        send("create-foreign", key, a -> new CreateHandleRequest(utf8("10.1000/1"), values, a));
        send("create-bad-value", key, a -> new CreateHandleRequest(
                utf8(handle), new HandleValue[] {new HandleValue(0, "URL", "https://x.example")}, a));
        send("delete-wrong-key", wrongKey, a -> new DeleteHandleRequest(utf8(prefix + "/HTTP-1"), a));
    }

    private void lists() {
        step("list", () -> names(new ListHandlesRequest(utf8("0.NA/" + prefix), key)));
        step("list-wrong-key", () -> names(new ListHandlesRequest(utf8("0.NA/" + prefix), wrongKey)));
    }

    /** Several operations in one session, which the first of them authenticates. */
    private void sessions() throws Exception {
        session("session", new SessionSetupInfo());
        session("session-encrypted", encrypted(new SessionSetupInfo()));
        SessionSetupInfo unnamed = byClientKey();
        step("session-client-key-alone", () -> {
            AbstractRequest request = new CreateHandleRequest(
                    utf8(prefix + "/SESSION-ALONE"), new HandleValue[] {adminValue()}, key);
            request.certify = true;
            return resolver.setupSessionWithServer(request, unnamed, site.servers[0]).sessionKey.length;
        });
        Security.addProvider(new NamedAsTheClientDoes());
        session("session-client-key", byClientKey());
        session("session-client-key-encrypted", encrypted(byClientKey()));
        SessionSetupInfo bySite = new SessionSetupInfo(Common.KEY_EXCHANGE_CIPHER_SERVER);
        step("session-site-key-alone", () -> resolver.setupSessionWithServer(
                new CreateHandleRequest(utf8(prefix + "/SESSION-ALONE"), new HandleValue[0], key),
                bySite,
                site.servers[0]));
        session("session-site-key", bySite, bySiteKey(bySite));
        session("session-site-key-encrypted", encrypted(bySite), bySiteKey(bySite));
        session("session-handle-key", new SessionSetupInfo("0.NA/" + prefix, 300, privateKey));
        session("session-handle-key-encrypted", encrypted(new SessionSetupInfo("0.NA/" + prefix, 300, privateKey)));
    }

    private SessionSetupInfo byClientKey() throws Exception {
        RSAPrivateCrtKey own = (RSAPrivateCrtKey) privateKey;
        PublicKey half = KeyFactory.getInstance("RSA")
                .generatePublic(new RSAPublicKeySpec(own.getModulus(), own.getPublicExponent()));
        return new SessionSetupInfo(Common.KEY_EXCHANGE_CIPHER_CLIENT, half, privateKey);
    }

    /**
     * Gives the server a key, encrypted with its own, and returns a tracker that has the session.
     *
     * <p>With the messages of the client, but not sent as it does: it writes 0 for the session into the second one.
     */
    private ClientSessionTracker bySiteKey(SessionSetupInfo setup) throws Exception {
        byte[] owner = utf8("0.NA/" + prefix);
        AbstractRequest first = new SessionSetupRequest(Common.KEY_EXCHANGE_CIPHER_SERVER, owner, 300);
        SessionSetupResponse begun = (SessionSetupResponse) resolver.sendHdlTcpRequest(first, host, port);
        byte[] session = new byte[16];
        new SecureRandom().nextBytes(session);
        PublicKey theirs = Util.getPublicKeyFromBytes(begun.data, 0);
        AbstractRequest second = new SessionExchangeKeyRequest(Util.encrypt(theirs, session, 2, 11));
        second.sessionId = begun.sessionId;
        AbstractResponse taken = resolver.sendHdlTcpRequest(second, host, port);
        if (taken.responseCode != AbstractMessage.RC_SUCCESS) throw new IllegalStateException(taken.toString());
        ClientSideSessionInfo made = new ClientSideSessionInfo(
                begun.sessionId, session, owner, 300, HdlSecurityProvider.ENCRYPT_ALG_AES, site.servers[0], 2, 11);
        made.takeValuesFromOption(setup);
        ClientSessionTracker tracker = new ClientSessionTracker(setup);
        tracker.putSession(made, site.servers[0], key);
        return tracker;
    }

    private static SessionSetupInfo encrypted(SessionSetupInfo setup) {
        setup.encrypted = true;
        return setup;
    }

    private void session(String name, SessionSetupInfo setup) {
        session(name, setup, new ClientSessionTracker(setup));
    }

    private void session(String name, SessionSetupInfo setup, ClientSessionTracker tracker) {
        String handle = prefix + "/" + name.toUpperCase();
        HandleValue[] values = {new HandleValue(1, "URL", "https://pumps.example/s"), adminValue()};
        Request[] requests = {
            a -> new CreateHandleRequest(utf8(handle), values, a),
            a -> new AddValueRequest(utf8(handle), new HandleValue(2, "DESC", "in a session"), a),
            a -> {
                ResolutionRequest request = new ResolutionRequest(utf8(handle), null, null, a);
                request.ignoreRestrictedValues = false;
                return request;
            },
            a -> new DeleteHandleRequest(utf8(handle), a),
        };
        String[] steps = {"-create", "-add", "-resolve", "-delete"};
        for (int i = 0; i < requests.length; i++) {
            Request request = requests[i];
            step(name + steps[i], () -> {
                AbstractRequest made = request.make(key);
                made.sessionTracker = tracker;
                made.encrypt = setup.encrypted;
                Map<String, Object> result = seen(resolver.sendRequestToSite(made, site));
                result.put("sessions", tracker.getAllSessions().length);
                return result;
            });
        }
        step(name + "-end", () -> {
            ClientSideSessionInfo[] sessions = tracker.getAllSessions();
            AbstractRequest request = new GenericRequest(utf8("/"), AbstractMessage.OC_SESSION_TERMINATE, key);
            request.sessionTracker = tracker;
            request.sessionInfo = sessions.length > 0 ? sessions[0] : null;
            return seen(resolver.sendRequestToSite(request, site));
        });
    }

    /** What comes of requests by the site as it was once. */
    private void oldSite() {
        SiteInfo old = new SiteInfo(site);
        old.serialNumber = site.serialNumber - 1;
        step("old-site-resolve", () -> seen(resolver.sendRequestToSite(resolve(prefix + "/HTTP-1"), old)));
        step("old-site-foreign", () -> seen(resolver.sendRequestToSite(resolve("10.1000/182"), old)));
        step("old-site-create", () -> seen(resolver.sendRequestToSite(
                new CreateHandleRequest(utf8(prefix + "/OLD"), new HandleValue[] {adminValue()}, key), old)));
        step("old-site-delete", () -> seen(resolver.sendRequestToSite(
                new DeleteHandleRequest(utf8(prefix + "/OLD"), key), old)));
    }

    /** What the tools of the client do over interfaces for administration. */
    private void prefixes() {
        String homed = "88.118.777";
        step("list-prefixes", () -> names(new ListNAsRequest(utf8("/"), nodeAdmin)));
        step("list-prefixes-not-admin", () -> names(new ListNAsRequest(utf8("/"), key)));
        send("home-not-admin", key, a -> homing(AbstractMessage.OC_HOME_NA, homed, a));
        send("home-unknown", nodeAdmin, a -> homing(AbstractMessage.OC_HOME_NA, "88.118.778", a));
        send("home", nodeAdmin, a -> homing(AbstractMessage.OC_HOME_NA, homed, a));
        step("list-prefixes-homed", () -> names(new ListNAsRequest(utf8("/"), nodeAdmin)));
        send("unhome-not-admin", key, a -> homing(AbstractMessage.OC_UNHOME_NA, prefix, a));
        send("unhome", nodeAdmin, a -> homing(AbstractMessage.OC_UNHOME_NA, homed, a));
        step("list-prefixes-unhomed", () -> names(new ListNAsRequest(utf8("/"), nodeAdmin)));
    }

    private static AbstractRequest homing(int operation, String prefix, AuthenticationInfo who) {
        AbstractRequest request = new GenericRequest(utf8("0.NA/" + prefix), operation, who);
        request.isAdminRequest = true;
        return request;
    }

    private void send(String name, AuthenticationInfo who, Request request) {
        step(name, () -> seen(resolver.sendRequestToSite(request.make(who), site)));
    }

    /** Sends a request whose answer comes in several messages; returns all names. */
    private Map<String, Object> names(AbstractRequest request) throws HandleException {
        List<String> names = new ArrayList<>();
        int[] messages = {0};
        AbstractResponse last = resolver.sendRequestToSite(request, site, response -> {
            messages[0]++;
            byte[][] part = response instanceof ListHandlesResponse
                    ? ((ListHandlesResponse) response).handles
                    : response instanceof ListNAsResponse ? ((ListNAsResponse) response).handles : null;
            if (part != null) for (byte[] name : part) names.add(new String(name, StandardCharsets.UTF_8));
        });
        Map<String, Object> result = seen(last);
        result.put("names", names);
        result.put("messages", messages[0]);
        return result;
    }

    private HandleValue adminValue() {
        byte[] data = Encoder.encodeAdminRecord(new AdminRecord(
                utf8("0.NA/" + prefix), 200, true, true, true, true, true, true, true, true, true, true,
                true, true));
        return new HandleValue(100, utf8("HS_ADMIN"), data);
    }

    private ResolutionRequest resolve(String handle) {
        return new ResolutionRequest(utf8(handle), null, null, null);
    }

    private static Map<String, Object> seen(AbstractResponse response) {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("code", response.responseCode);
        result.put("version", response.majorProtocolVersion + "." + response.minorProtocolVersion);
        if (response instanceof ErrorResponse && ((ErrorResponse) response).message != null) {
            result.put("message", new String(((ErrorResponse) response).message, StandardCharsets.UTF_8));
        }
        if (response instanceof CreateHandleResponse && ((CreateHandleResponse) response).handle != null) {
            result.put("handle", new String(((CreateHandleResponse) response).handle, StandardCharsets.UTF_8));
        }
        if (response instanceof ResolutionResponse) {
            ResolutionResponse resolved = (ResolutionResponse) response;
            result.put("handle", new String(resolved.handle, StandardCharsets.UTF_8));
            Map<Integer, String> values = new TreeMap<>();
            try {
                for (HandleValue value : resolved.getHandleValues()) {
                    values.put(value.getIndex(), value.getTypeAsString() + " " + value.getDataAsString());
                }
            } catch (HandleException error) {
                throw new IllegalStateException(error);
            }
            result.put("values", values);
        }
        if (response instanceof GetSiteInfoResponse) {
            List<String> interfaces = new ArrayList<>();
            for (Interface each : ((GetSiteInfoResponse) response).siteInfo.servers[0].interfaces) {
                interfaces.add(Interface.protocolName(each.protocol));
            }
            result.put("interfaces", interfaces);
        }
        return result;
    }

    private static void step(String name, Step step) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", name);
        try {
            line.put("seen", step.run());
        } catch (Exception error) {
            StringBuilder why = new StringBuilder(error.toString());
            for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
                why.append("; ").append(cause);
            }
            line.put("error", why.toString());
            if (error instanceof HandleException) line.put("client_code", ((HandleException) error).getCode());
        }
        System.out.println(GSON.toJson(line));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static PrivateKey privateKey(String file) throws Exception {
        byte[] der = Files.readAllBytes(Path.of(file));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }
}
