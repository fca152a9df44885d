/*
 * Writes tests/vectors/handle-client-9.3.1.json: what the reference client library makes of known
 * keys and messages. Run with net.handle:handle-client:9.3.1 and its dependencies from Maven
 * Central on the class path:
 *
 *     java -cp 'lib/*' HandleClientVectors.java > handle-client-9.3.1.json
 */
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.security.Signature;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.crypto.interfaces.DHPrivateKey;
import javax.crypto.interfaces.DHPublicKey;
import javax.crypto.spec.DHParameterSpec;
import javax.crypto.spec.DHPrivateKeySpec;
import javax.crypto.spec.DHPublicKeySpec;
import net.handle.hdllib.AbstractMessage;
import net.handle.hdllib.AbstractRequest;
import net.handle.hdllib.AuthenticationInfo;
import net.handle.hdllib.ChallengeResponse;
import net.handle.hdllib.Common;
import net.handle.hdllib.Encoder;
import net.handle.hdllib.ErrorResponse;
import net.handle.hdllib.GenericRequest;
import net.handle.hdllib.HandleValue;
import net.handle.hdllib.PublicKeyAuthenticationInfo;
import net.handle.hdllib.ResolutionRequest;
import net.handle.hdllib.SecretKeyAuthenticationInfo;
import net.handle.hdllib.ServiceReferralResponse;
import net.handle.hdllib.SessionExchangeKeyRequest;
import net.handle.hdllib.SessionInfo;
import net.handle.hdllib.SessionSetupRequest;
import net.handle.hdllib.Util;
import net.handle.hdllib.ValueReference;
import net.handle.hdllib.VerifyAuthRequest;
import net.handle.hdllib.VerifyAuthResponse;
import net.handle.hdllib.trust.HandleValueDigester;
import net.handle.hdllib.trust.JsonWebSignatureFactory;
import net.handle.security.HdlSecurityProvider;

public class HandleClientVectors {
    static final byte[] SECRET = utf8("密码 with words");
    static final byte[] SESSION_KEY = new byte[32];
    static final int[] MINORS = {0, 1, 3, 4, 5, 6, 7, 8, 10, 11};

    static byte[] utf8(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
    }

    static String object(String... pairs) {
        List<String> members = new ArrayList<>();
        for (int i = 0; i < pairs.length; i += 2) members.add("\"" + pairs[i] + "\": " + pairs[i + 1]);
        return "{" + String.join(", ", members) + "}";
    }

    static String string(String text) { return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\""; }

    static String bytes(byte[] value) { return string(hex(value)); }

    static String list(List<String> items) { return "[\n    " + String.join(",\n    ", items) + "\n  ]"; }

    static <M extends AbstractMessage> M head(M message, int minor) {
        message.majorProtocolVersion = 2;
        message.minorProtocolVersion = (byte) minor;
        message.suggestMajorProtocolVersion = 2;
        message.suggestMinorProtocolVersion = 11;
        message.sessionId = 0x05060708;
        message.requestId = 0x01020304;
        message.sessionCounter = 9;
        message.expiration = 1700000000;
        message.clearBuffers();
        return message;
    }

    static ResolutionRequest request() {
        return new ResolutionRequest(utf8("88.118.35/SN-1"), new byte[][] {utf8("URL")}, new int[] {1, 2}, null);
    }

    static String message(String name, int minor, AbstractMessage message) throws Exception {
        return object("name", string(name), "minor", "" + minor, "payload", bytes(message.getEncodedMessage()));
    }

    static List<String> messages() throws Exception {
        List<String> out = new ArrayList<>();
        byte[] nonce = new byte[16];
        Arrays.fill(nonce, (byte) 7);
        byte[] digest = new byte[32];
        Arrays.fill(digest, (byte) 9);
        out.add(message("verify-request", 11, head(new VerifyAuthRequest(utf8("0.NA/88.118"), nonce, digest, (byte) 3, utf8("answer"), 301, null), 11)));
        out.add(message("exchange-key", 11, head(new SessionExchangeKeyRequest(utf8("encrypted key")), 11)));
        SessionSetupRequest byServer = new SessionSetupRequest();
        byServer.identityHandle = utf8("0.NA/88.118");
        byServer.identityIndex = 300;
        byServer.keyExchangeMode = Common.KEY_EXCHANGE_CIPHER_SERVER;
        out.add(message("session-setup-server-cipher", 11, head(byServer, 11)));
        SessionSetupRequest byHandle = new SessionSetupRequest(utf8("0.NA/88.118"), 300, utf8("88.118/key"), 5);
        byHandle.keyExchangeMode = Common.KEY_EXCHANGE_CIPHER_HDL;
        out.add(message("session-setup-handle-cipher", 11, head(byHandle, 11)));
        out.add(message("session-terminate", 11, head(new GenericRequest(Common.BLANK_HANDLE, AbstractMessage.OC_SESSION_TERMINATE, null), 11)));
        HandleValue value = new HandleValue(1, utf8("HS_SERV"), utf8("88.118/service"));
        value.setTimestamp(1700000000);
        value.setTTLType((byte) 1);
        value.setTTL(1800000000);
        value.setReferences(new ValueReference[] {new ValueReference(utf8("0.NA/88.118"), 3)});
        byte[][] values = {Encoder.encodeHandleValue(value)};
        for (int code : new int[] {AbstractMessage.RC_SERVICE_REFERRAL, AbstractMessage.RC_PREFIX_REFERRAL}) {
            out.add(message("referral-to-handle", 11, head(new ServiceReferralResponse(request(), code, utf8("88.118/service"), null), 11)));
            out.add(message("referral-with-values", 11, head(new ServiceReferralResponse(request(), code, new byte[0], values), 11)));
        }
        for (int minor : MINORS) {
            AbstractRequest asked = head(request(), minor);
            asked.suggestMinorProtocolVersion = (byte) minor;
            ChallengeResponse challenge = new ChallengeResponse(asked);
            challenge.nonce = nonce;
            out.add(message("challenge", minor, head(challenge, minor)));
            if (minor == 0) continue;
            asked.returnRequestDigest = true;
            out.add(message("error-with-digest", minor, head(new ErrorResponse(asked, AbstractMessage.RC_SERVER_BACKUP, utf8("维护")), minor)));
        }
        return out;
    }

    static KeyPair generate(String algorithm, int size) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
        generator.initialize(size);
        return generator.generateKeyPair();
    }

    static String key(String name, KeyPair pair) throws Exception {
        return object("kind", string(name), "public", bytes(Util.getBytesFromPublicKey(pair.getPublic())), "private_pkcs8", bytes(pair.getPrivate().getEncoded()));
    }

    static List<String> credentials(KeyPair rsa, KeyPair dsa) throws Exception {
        List<String> out = new ArrayList<>();
        for (int minor : MINORS) {
            AbstractMessage mac = head(request(), minor);
            mac.signMessage(SESSION_KEY);
            out.add(object("kind", string("MAC"), "minor", "" + minor, "payload", bytes(mac.getEncodedMessage())));
            for (KeyPair pair : new KeyPair[] {rsa, dsa}) {
                AbstractMessage signed = head(request(), minor);
                Signature signer = Signature.getInstance(Util.getDefaultSigId(pair.getPrivate().getAlgorithm(), signed));
                signer.initSign(pair.getPrivate());
                signed.signMessage(signer);
                out.add(object("kind", string(pair.getPrivate().getAlgorithm()), "minor", "" + minor, "payload", bytes(signed.getEncodedMessage())));
            }
        }
        return out;
    }

    static List<String> answers(KeyPair rsa, KeyPair dsa) throws Exception {
        List<String> out = new ArrayList<>();
        AuthenticationInfo[] infos = {
            new SecretKeyAuthenticationInfo(utf8("0.NA/88.118"), 301, SECRET),
            new PublicKeyAuthenticationInfo(utf8("0.NA/88.118"), 300, rsa.getPrivate()),
            new PublicKeyAuthenticationInfo(utf8("0.NA/88.118"), 300, dsa.getPrivate())};
        String[] kinds = {"SECRET", "RSA", "DSA"};
        for (int minor : MINORS) {
            if (minor == 0) continue;
            AbstractRequest asked = head(request(), minor);
            asked.suggestMinorProtocolVersion = (byte) minor;
            ChallengeResponse challenge = new ChallengeResponse(asked);
            for (int i = 0; i < infos.length; i++) {
                out.add(object("kind", string(kinds[i]), "minor", "" + minor, "nonce", bytes(challenge.nonce), "digest", bytes(challenge.requestDigest), "answer", bytes(infos[i].authenticate(challenge, asked))));
            }
        }
        return out;
    }

    static List<String> macs() throws Exception {
        List<String> out = new ArrayList<>();
        for (int algorithm : new int[] {0x02, 0x03, 0x12, 0x13, 0x22}) {
            out.add(object("algorithm", "" + algorithm, "data", bytes(utf8("nonce and digest")), "mac", bytes(Util.doMac((byte) algorithm, utf8("nonce and digest"), SECRET))));
        }
        return out;
    }

    static DHPrivateKey dh(BigInteger secret, DHParameterSpec group) throws Exception {
        return (DHPrivateKey) KeyFactory.getInstance("DH").generatePrivate(new DHPrivateKeySpec(secret, group.getP(), group.getG()));
    }

    static String session() throws Exception {
        KeyPair pair = generate("DH", 1024);
        DHParameterSpec group = ((DHPublicKey) pair.getPublic()).getParams();
        byte[] secret = new byte[32];
        for (int i = 0; i < 32; i++) secret[i] = (byte) (i + 1);
        BigInteger exponent = new BigInteger(1, secret);
        BigInteger y = group.getG().modPow(exponent, group.getP());
        PublicKey own = KeyFactory.getInstance("DH").generatePublic(new DHPublicKeySpec(y, group.getP(), group.getG()));
        byte[] agreed = HdlSecurityProvider.getInstance().getKeyFromDH((DHPublicKey) pair.getPublic(), dh(exponent, group), HdlSecurityProvider.ENCRYPT_ALG_AES);
        byte[] key = Arrays.copyOfRange(agreed, 4, agreed.length);
        byte[] payload = head(request(), 11).getEncodedMessage();
        SessionInfo info = new SessionInfo(1, key, utf8("0.NA/88.118"), 300, HdlSecurityProvider.ENCRYPT_ALG_AES, 2, 11);
        return object("secret", bytes(secret), "public", bytes(Util.getBytesFromPublicKey(own)), "peer", bytes(Util.getBytesFromPublicKey(pair.getPublic())), "key", bytes(key), "payload", bytes(payload), "encrypted", bytes(info.encryptBuffer(payload, 0, payload.length)));
    }

    static String trust(KeyPair rsa, KeyPair dsa) throws Exception {
        HandleValue value = new HandleValue(1, utf8("URL"), utf8("http://example.org/"));
        value.setTimestamp(1700000000);
        List<HandleValue> values = new ArrayList<>();
        values.add(value);
        String digest = new HandleValueDigester().digest(values, "SHA-256").digests.get(0).digest;
        JsonWebSignatureFactory factory = JsonWebSignatureFactory.getInstance();
        String claims = "{\"iss\":\"300:0.NA/88.118\",\"sub\":\"88.118.35/SN-1\",\"exp\":2000000000}";
        return object("value", bytes(Encoder.encodeHandleValue(value)), "digest", string(digest), "claims", string(claims), "RSA", string(factory.create(claims, rsa.getPrivate()).serialize()), "DSA", string(factory.create(claims, dsa.getPrivate()).serialize()));
    }

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < SESSION_KEY.length; i++) SESSION_KEY[i] = (byte) (100 + i);
        KeyPair rsa = generate("RSA", 2048);
        KeyPair dsa = generate("DSA", 1024);
        List<String> keys = new ArrayList<>();
        keys.add(key("RSA", rsa));
        keys.add(key("DSA", dsa));
        System.out.println("{");
        System.out.println("  \"source\": \"made by HandleClientVectors.java with net.handle:handle-client 9.3.1; the keys belong to nobody\",");
        System.out.println("  \"secret\": " + bytes(SECRET) + ",");
        System.out.println("  \"session_key\": " + bytes(SESSION_KEY) + ",");
        System.out.println("  \"keys\": " + list(keys) + ",");
        System.out.println("  \"messages\": " + list(messages()) + ",");
        System.out.println("  \"credentials\": " + list(credentials(rsa, dsa)) + ",");
        System.out.println("  \"answers\": " + list(answers(rsa, dsa)) + ",");
        System.out.println("  \"macs\": " + list(macs()) + ",");
        System.out.println("  \"session\": " + session() + ",");
        System.out.println("  \"trust\": " + trust(rsa, dsa));
        System.out.println("}");
    }
}
