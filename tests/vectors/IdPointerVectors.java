// Writes id-pointer-sdk-2.3.1.json: what cn.teleinfo.id-pointer:id-pointer-sdk makes of SM2 keys.
// Run it with the SDK and all that it needs on the class path; argument: the file to write.

import cn.hutool.crypto.SecureUtil;
import cn.teleinfo.idpointer.sdk.client.ValueHelper;
import cn.teleinfo.idpointer.sdk.core.AbstractMessage;
import cn.teleinfo.idpointer.sdk.core.ChallengeIdResponse;
import cn.teleinfo.idpointer.sdk.core.Common;
import cn.teleinfo.idpointer.sdk.core.GsonUtility;
import cn.teleinfo.idpointer.sdk.core.LoginIDSystemIdRequest;
import cn.teleinfo.idpointer.sdk.core.PublicKeyAuthenticationInfo;
import cn.teleinfo.idpointer.sdk.core.Util;
import cn.teleinfo.idpointer.sdk.core.trust.JsonWebSignatureFactory;
import cn.teleinfo.idpointer.sdk.security.gm.SM2PublicKey;
import cn.teleinfo.idpointer.sdk.util.KeyConverter;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class IdPointerVectors {
    static final String[] USERS = {"0.NA/88.118.35", "88.118.35/管理员", "88.118.35"};

    static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
    }

    static Map<String, Object> object(Object... pairs) {
        Map<String, Object> out = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) out.put((String) pairs[i], pairs[i + 1]);
        return out;
    }

    static KeyPair generate(String algorithm, int size) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
        generator.initialize(size);
        return generator.generateKeyPair();
    }

    /** A key, as the SDK writes it into HS_PUBKEY in its two ways. */
    static Map<String, Object> key(String kind, PublicKey key) throws Exception {
        byte[] plain = ValueHelper.getInstance().newIdisPublicKeyValue(300, key).getData();
        return object("kind", kind, "der", hex(key.getEncoded()), "plain", hex(plain), "encoded", hex(Util.getBytesFromPublicKey(key)));
    }

    static Map<String, Object> answer(PrivateKey key, String user) throws Exception {
        byte[] handle = user.getBytes(StandardCharsets.UTF_8);
        PublicKeyAuthenticationInfo who = new PublicKeyAuthenticationInfo(handle, 300, key);
        LoginIDSystemIdRequest login = new LoginIDSystemIdRequest(handle, 300, who);
        login.requestId = 5;
        login.sessionId = 10001;
        login.returnRequestDigest = true;
        login.rdHashType = Common.HASH_CODE_SHA256;
        byte[] content = login.getEncodedMessageBody();
        ChallengeIdResponse challenge = new ChallengeIdResponse(login, false);
        return object("algorithm", key.getAlgorithm(), "user", user, "login", hex(content), "nonce", hex(challenge.nonce), "digest", hex(challenge.requestDigest), "answer", hex(who.authenticate(challenge, login)));
    }

    public static void main(String[] arguments) throws Exception {
        KeyPair sm2 = SecureUtil.generateKeyPair("SM2");
        PublicKey sdkKey = new SM2PublicKey(sm2.getPublic().getEncoded());
        List<Object> answers = new ArrayList<>();
        // A key that was made, and one that was read from PEM: the SDK signs with them in two ways.
        PrivateKey read = KeyConverter.fromPkcs8Pem(KeyConverter.toPkcs8UnencryptedPem(sm2.getPrivate()));
        for (String user : USERS) answers.add(answer(sm2.getPrivate(), user));
        for (String user : USERS) answers.add(answer(read, user));
        String claims = "{\"iss\":\"300:0.NA/88.118\",\"sub\":\"88.118.35/SN-1\",\"exp\":2000000000}";
        String jws = JsonWebSignatureFactory.getInstance().create(claims, read).serialize();
        List<Object> keys = new ArrayList<>();
        keys.add(key("SM2", sm2.getPublic()));
        keys.add(key("RSA", generate("RSA", 2048).getPublic()));
        keys.add(key("DSA", generate("DSA", 1024).getPublic()));
        Map<String, Object> all = object(
                "source", "made by IdPointerVectors.java with cn.teleinfo.id-pointer:id-pointer-sdk 2.3.1; the keys belong to nobody",
                "keys", keys,
                "jwk", GsonUtility.getGson().toJsonTree(sdkKey, PublicKey.class),
                "answers", answers,
                "claims", claims,
                "jws", jws);
        Gson gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
        Files.write(Path.of(arguments[0]), (gson.toJson(all) + "\n").getBytes(StandardCharsets.UTF_8));
        System.exit(0);
    }
}
