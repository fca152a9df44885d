import cn.hutool.crypto.SecureUtil;
import cn.teleinfo.idpointer.sdk.client.GlobalIdClientFactory;
import cn.teleinfo.idpointer.sdk.client.IDClient;
import cn.teleinfo.idpointer.sdk.client.ValueHelper;
import cn.teleinfo.idpointer.sdk.config.IDClientConfig;
import cn.teleinfo.idpointer.sdk.core.AuthenticationInfo;
import cn.teleinfo.idpointer.sdk.core.HandleValue;
import cn.teleinfo.idpointer.sdk.core.PublicKeyAuthenticationInfo;
import cn.teleinfo.idpointer.sdk.core.Util;
import cn.teleinfo.idpointer.sdk.exception.IDException;
import cn.teleinfo.idpointer.sdk.util.KeyConverter;
import com.google.gson.Gson;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Drives the id-pointer SDK with identities that have keys of SM2, and prints a line of JSON a step.
 *
 * <p>Arguments: host, Handle port, prefix, RSA key (PKCS #8, DER) at 300:0.NA/prefix. With that key it
 * registers the keys that it then uses.
 */
public class IdPointerSm2Program {
    private static final Gson GSON = new Gson();
    private static final ValueHelper VALUES = ValueHelper.getInstance();

    interface Step {
        void run() throws Exception;
    }

    interface Work {
        void on(IDClient client) throws Exception;
    }

    private final InetSocketAddress server;
    private final String prefix;

    public static void main(String[] args) throws Exception {
        new IdPointerSm2Program(args).run(args);
        System.exit(0);
    }

    IdPointerSm2Program(String[] args) {
        server = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
        prefix = args[2];
        GlobalIdClientFactory.init(IDClientConfig.builder()
                .recursionServerIp(args[0])
                .recursionServerPort(server.getPort())
                .promiseTimeout(10)
                .nioThreads(2)
                .build());
    }

    void run(String[] args) throws Exception {
        KeyPair pair = SecureUtil.generateKeyPair("SM2");
        KeyPair other = SecureUtil.generateKeyPair("SM2");
        PrivateKey read = KeyConverter.fromPkcs8Pem(KeyConverter.toPkcs8UnencryptedPem(pair.getPrivate()));
        byte[] der = Files.readAllBytes(Path.of(args[3]));
        PrivateKey rsa = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
        String owner = "0.NA/" + prefix;
        String user = prefix + "/SM2-USER";
        String owned = prefix + "/SM2-OWNED";
        as(owner, 300, rsa, false, client -> {
            step("register-owner", () -> client.updateHandleValues(owner, new HandleValue[] {VALUES.newPublicKeyValue(301, pair.getPublic())}));
            step("register-user", () -> client.createHandle(user, new HandleValue[] {VALUES.newIdisPublicKeyValue(300, pair.getPublic())}));
            step("register-owned", () -> client.createHandle(owned, new HandleValue[] {url("first"), VALUES.newAdminValue(100, user, 300)}));
        });
        as(owner, 301, pair.getPrivate(), false, client -> administer("made", client));
        as(owner, 301, read, false, client -> administer("read", client));
        as(owner, 301, pair.getPrivate(), true, client -> administer("encrypt", client));
        as(user, 300, pair.getPrivate(), false, client -> {
            step("user-update", () -> client.updateHandleValues(owned, new HandleValue[] {url("second")}));
            show("user-resolve", client, owned);
            step("user-create", () -> client.createHandle(prefix + "/SM2-NOT-MINE", new HandleValue[] {url("no")}));
        });
        as(owner, 301, other.getPrivate(), false, client ->
                step("wrong-key", () -> client.createHandle(prefix + "/SM2-WRONG", new HandleValue[] {url("no")})));
    }

    /** The life of one identifier, in one login. */
    private void administer(String way, IDClient client) {
        String handle = prefix + "/SM2-" + way.toUpperCase();
        step(way + "-create", () -> client.createHandle(handle, new HandleValue[] {url("first")}));
        step(way + "-update", () -> client.updateHandleValues(handle, new HandleValue[] {url("second")}));
        show(way + "-resolve", client, handle);
        step(way + "-delete", () -> client.deleteHandle(handle));
    }

    private void as(String handle, int index, PrivateKey key, boolean encrypt, Work work) throws Exception {
        AuthenticationInfo who = new PublicKeyAuthenticationInfo(Util.encodeString(handle), index, key);
        IDClient client = GlobalIdClientFactory.getIdClientFactory().newInstance(server, who, encrypt);
        work.on(client);
        client.close();
    }

    private static HandleValue url(String path) {
        return new HandleValue(1, "URL", "https://pumps.example/" + path);
    }

    private static void step(String name, Step step) {
        print(name, Map.of(), step);
    }

    private static void show(String name, IDClient client, String handle) {
        Map<Integer, String> values = new TreeMap<>();
        print(name, values, () -> {
            for (HandleValue value : client.resolveHandle(handle)) {
                values.put(value.getIndex(), value.getTypeAsString() + " " + value.getDataAsString());
            }
        });
    }

    private static void print(String name, Object seen, Step step) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", name);
        try {
            step.run();
            line.put("seen", seen);
        } catch (Exception error) {
            line.put("error", error.toString());
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (!(cause instanceof IDException)) continue;
                IDException known = (IDException) cause;
                line.put("client_code", known.getCode());
                if (known.getResponse() != null) line.put("code", known.getResponse().getResponseCode());
            }
        }
        System.out.println(GSON.toJson(line));
    }
}
