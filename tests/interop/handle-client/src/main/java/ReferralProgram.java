import com.google.gson.Gson;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import net.handle.hdllib.AbstractMessage;
import net.handle.hdllib.AbstractResponse;
import net.handle.hdllib.GenericRequest;
import net.handle.hdllib.GetSiteInfoResponse;
import net.handle.hdllib.HandleResolver;
import net.handle.hdllib.HandleValue;
import net.handle.hdllib.ResolutionRequest;
import net.handle.hdllib.ResolutionResponse;
import net.handle.hdllib.ServiceReferralResponse;
import net.handle.hdllib.SimpleConfiguration;
import net.handle.hdllib.SiteInfo;

/**
 * Asks one server for handles with net.handle:handle-client, and prints a line of JSON for each: what that server says
 * itself, and what the client finds that takes it for the root.
 *
 * <p>Arguments: host, Handle port, handles.
 */
public class ReferralProgram {
    private static final Gson GSON = new Gson();

    public static void main(String[] args) throws Exception {
        InetAddress host = InetAddress.getByName(args[0]);
        GenericRequest about = new GenericRequest(utf8("/"), AbstractMessage.OC_GET_SITE_INFO, null);
        AbstractResponse answer = resolver().sendHdlTcpRequest(about, host, Integer.parseInt(args[1]));
        SiteInfo root = ((GetSiteInfoResponse) answer).siteInfo;
        for (int i = 2; i < args.length; i++) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("step", args[i]);
            line.put("root", seen(resolver().sendRequestToSite(resolve(args[i]), root)));
            try {
                HandleResolver resolver = resolver();
                resolver.getConfiguration().setGlobalSites(new SiteInfo[] {root});
                line.put("found", seen(resolver.processRequest(resolve(args[i]))));
            } catch (Exception error) {
                line.put("error", error.toString());
            }
            System.out.println(GSON.toJson(line));
        }
        System.exit(0);
    }

    private static HandleResolver resolver() {
        HandleResolver resolver = new HandleResolver();
        resolver.setConfiguration(new SimpleConfiguration());
        resolver.setCache(null);
        resolver.setCertifiedCache(null);
        return resolver;
    }

    private static ResolutionRequest resolve(String handle) {
        return new ResolutionRequest(utf8(handle), null, null, null);
    }

    private static Map<String, Object> seen(AbstractResponse response) throws Exception {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("code", response.responseCode);
        HandleValue[] values = {};
        if (response instanceof ServiceReferralResponse) values = ((ServiceReferralResponse) response).getHandleValues();
        if (response instanceof ResolutionResponse) values = ((ResolutionResponse) response).getHandleValues();
        List<String> types = new ArrayList<>();
        for (HandleValue value : values) types.add(value.getTypeAsString());
        result.put("types", types);
        if (values.length == 1) result.put("data", values[0].getDataAsString());
        return result;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
