import java.io.InputStream;
import java.math.BigInteger;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.LocalDate;
import java.time.ZoneId;

/**
 * An application of the SNMS API, as its guide has them written: it signs in with the password hashed with the day,
 * and writes with both HTTP clients of Java. Prints a line of JSON for each step: its name and the answer.
 *
 * Arguments: address, user, password, prefix.
 */
public final class SnmsApplication {
    private static String address;
    private static String token = "";

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        String prefix = arguments[3];
        String today = LocalDate.now(ZoneId.of("Asia/Shanghai")).toString();
        String password = sha256(sha256(arguments[2]) + today);
        String credentials = "{\"username\":\"" + arguments[1] + "\",\"password\":\"" + password + "\"}";
        String signedIn = step("token", "POST", "/identity/token/v1", credentials);
        token = signedIn.replaceAll("(?s).*\"token\":\"([^\"]*)\".*", "$1");
        step("template", "POST", "/snms/api/v3/template", template(prefix));
        String handle = prefix + "/泵-1";
        step("create", "POST", "/identityv2/data", record(handle, "离心泵"));
        step("update", "PUT", "/identityv2/data", record(handle, "齿轮泵"));
        String encoded = URLEncoder.encode(handle, StandardCharsets.UTF_8);
        step("detail", "GET", "/identityv2/data/detail?handle=" + encoded, null);
        String batch = "[" + record(prefix + "/2", "a") + "," + record(prefix + "/2", "b") + "]";
        step("batch", "POST", "/identityv2/data/batchCreate", batch);
        step("delete", "DELETE", "/identityv2/data", "{\"handle\":\"" + handle + "\"}");
        step("batchDelete", "DELETE", "/identityv2/data/batchDelete", "[\"" + prefix + "/2\"]");
    }

    private static String template(String prefix) {
        return "{\"prefix\":\"" + prefix + "\",\"version\":\"java\",\"industryCategory\":\"C\","
            + "\"industrySpecific\":\"34\",\"industryTrade\":\"344\",\"industrySubclass\":\"3441\",\"type\":2,"
            + "\"items\":[{\"name\":\"名称\",\"idType\":\"NAME\",\"required\":true,"
            + "\"metadata\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20}}]}";
    }

    private static String record(String handle, String text) {
        return "{\"handle\":\"" + handle + "\",\"templateVersion\":\"java\",\"value\":[{\"data\":{"
            + "\"format\":\"string\",\"value\":\"" + text + "\"},\"auth\":\"\",\"index\":2000,\"type\":\"NAME\"}]}";
    }

    /** Sends a request, a write with one client or the other by turns; prints and returns the answer. */
    private static String step(String name, String method, String path, String body) throws Exception {
        boolean old = name.equals("token") || name.equals("update") || name.equals("batchDelete");
        String answer = old ? byConnection(method, path, body) : byClient(method, path, body);
        System.out.println("{\"step\":\"" + name + "\",\"answer\":" + answer + "}");
        return answer;
    }

    /** By java.net.http, which asks for HTTP/2 first. */
    private static String byClient(String method, String path, String body) throws Exception {
        HttpRequest.BodyPublisher sent = body == null
            ? HttpRequest.BodyPublishers.noBody()
            : HttpRequest.BodyPublishers.ofString(body);
        HttpRequest request = HttpRequest.newBuilder(URI.create(address + path))
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json")
            .method(method, sent)
            .build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }

    /** By java.net, on which most older libraries stand. */
    private static String byConnection(String method, String path, String body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(address + path).openConnection();
        connection.setRequestMethod(method);
        connection.setRequestProperty("Content-Type", "application/json;charset=UTF-8");
        if (!token.isEmpty()) {
            connection.setRequestProperty("Authorization", "Bearer " + token);
        }
        connection.setDoOutput(true);
        connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
        try (InputStream answer = connection.getInputStream()) {
            return new String(answer.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String sha256(String text) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return String.format("%064x", new BigInteger(1, digest));
    }
}
