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
 * Drives cn.teleinfo.id-pointer:id-pointer-sdk against one server and prints a line of JSON a step.
 *
 * <p>Arguments: host, Handle port, prefix, key (PKCS #8, DER) at 300:0.NA/prefix, a key that is not,
 * identity of a node administrator (index:handle), its key.
 */
public class IdPointerProgram {
    private static final Gson GSON = new Gson();

    interface Step {
        Object run() throws Exception;
    }

    interface Work {
        Object on(IDClient client) throws Exception;
    }

    private final InetSocketAddress server;
    private final String prefix;

    public static void main(String[] args) throws Exception {
        new IdPointerProgram(args).run(args);
        System.exit(0);
    }

    IdPointerProgram(String[] args) {
        server = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
        prefix = args[2];
        // The servers that the SDK asks unless it is told otherwise are real ones.
        GlobalIdClientFactory.init(IDClientConfig.builder()
                .recursionServerIp(args[0])
                .recursionServerPort(server.getPort())
                .promiseTimeout(10)
                .nioThreads(2)
                .build());
    }

    void run(String[] args) throws Exception {
        String owner = "0.NA/" + prefix;
        String handle = prefix + "/HTTP-1";
        with(null, client -> {
            step("resolve", () -> values(client.resolveHandle(handle)));
            step("resolve-again", () -> values(client.resolveHandle(handle)));
            step("resolve-type", () -> values(client.resolveHandle(handle, new String[] {"EMAIL"}, null)));
            step("resolve-index", () -> values(client.resolveHandle(handle, null, new int[] {2})));
            step("resolve-long", () -> values(client.resolveHandle(prefix + "/HTTP-LONG")));
            step("resolve-absent", () -> values(client.resolveHandle(prefix + "/ABSENT")));
            return null;
        });
        step("resolve-prefix-address", () -> {
            InetSocketAddress found = GlobalIdClientFactory.getPrefixTcpInetSocketAddress(owner);
            return Map.of("port", found.getPort());
        });
        with(null, client -> {
            step("create-nobody", () -> {
                client.createHandle(prefix + "/SDK-NOBODY", url("https://pumps.example/no"));
                return Map.of();
            });
            return null;
        });
        with(key(owner, 300, args[3]), client -> {
            administer(client, prefix + "/SDK-KEY");
            return null;
        });
        with(key(owner, 300, args[4]), client -> {
            step("create-wrong-key", () -> {
                client.createHandle(prefix + "/SDK-WRONG", url("https://pumps.example/no"));
                return Map.of();
            });
            return null;
        });
        for (boolean stored : new boolean[] {false, true}) sm2(key(owner, 300, args[3]), stored);
        String[] admin = args[5].split(":", 2);
        with(key(admin[1], Integer.parseInt(admin[0]), args[6]), client -> {
            step("home", () -> {
                client.homeNa("0.NA/88.118.777");
                return Map.of();
            });
            step("unhome", () -> {
                client.unhomeNa("0.NA/88.118.777");
                return Map.of();
            });
            return null;
        });
    }

    /**
     * Registers an identity with an SM2 key, and an identifier that this identity administers.
     *
     * <p>stored: the private key was written and read again, with which the SDK signs differently.
     */
    private void sm2(AuthenticationInfo owner, boolean stored) throws Exception {
        String name = stored ? "sm2-stored" : "sm2";
        String user = prefix + "/USER-" + name.toUpperCase();
        String handle = prefix + "/SDK-" + name.toUpperCase();
        KeyPair pair = SecureUtil.generateKeyPair("SM2");
        PrivateKey key = stored
                ? KeyConverter.fromPkcs8Pem(KeyConverter.toPkcs8UnencryptedPem(pair.getPrivate()))
                : pair.getPrivate();
        ValueHelper values = ValueHelper.getInstance();
        with(owner, client -> {
            step(name + "-identity", () -> {
                client.createHandle(user, new HandleValue[] {values.newPublicKeyValue(300, pair.getPublic())});
                client.createHandle(handle, new HandleValue[] {
                    new HandleValue(1, "URL", "https://pumps.example/sm2"), values.newAdminValue(100, user, 300),
                });
                return Map.of();
            });
            return null;
        });
        with(new PublicKeyAuthenticationInfo(Util.encodeString(user), 300, key), client -> {
            step(name + "-update", () -> {
                client.updateHandleValues(handle, url("https://pumps.example/changed"));
                return Map.of();
            });
            step(name + "-foreign", () -> {
                client.updateHandleValues(prefix + "/HTTP-1", url("https://pumps.example/no"));
                return Map.of();
            });
            step(name + "-resolve", () -> values(client.resolveHandle(handle, new String[] {"URL"}, null)));
            return null;
        });
    }

    /** The life of one identifier, in one login. */
    private void administer(IDClient client, String handle) {
        step("create", () -> {
            client.createHandle(handle, url("https://pumps.example/sdk"));
            return Map.of();
        });
        step("create-again", () -> {
            client.createHandle(handle, url("https://pumps.example/sdk"));
            return Map.of();
        });
        step("add", () -> {
            client.addHandleValues(handle, new HandleValue[] {new HandleValue(2, "DESC", "泵 Pump")});
            return Map.of();
        });
        step("update", () -> {
            client.updateHandleValues(handle, url("https://pumps.example/changed"));
            return Map.of();
        });
        step("resolve-changed", () -> values(client.resolveHandle(handle)));
        step("remove", () -> {
            client.deleteHandleValues(handle, new int[] {2});
            return Map.of();
        });
        step("resolve-removed", () -> values(client.resolveHandle(handle)));
        step("delete", () -> {
            client.deleteHandle(handle);
            return Map.of();
        });
        step("resolve-deleted", () -> values(client.resolveHandle(handle)));
    }

    private void with(AuthenticationInfo who, Work work) throws Exception {
        IDClient client = who == null
                ? GlobalIdClientFactory.getIdClientFactory().newInstance(server)
                : GlobalIdClientFactory.getIdClientFactory().newInstance(server, who);
        work.on(client);
        client.close();
    }

    private static AuthenticationInfo key(String handle, int index, String file) throws Exception {
        byte[] der = Files.readAllBytes(Path.of(file));
        PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
        return new PublicKeyAuthenticationInfo(Util.encodeString(handle), index, key);
    }

    private static HandleValue[] url(String url) {
        return new HandleValue[] {new HandleValue(1, "URL", url)};
    }

    private static Map<String, Object> values(HandleValue[] values) {
        Map<Integer, String> result = new TreeMap<>();
        for (HandleValue value : values) {
            result.put(value.getIndex(), value.getTypeAsString() + " " + value.getDataAsString());
        }
        return Map.of("values", result);
    }

    private static void step(String name, Step step) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", name);
        try {
            line.put("seen", step.run());
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
