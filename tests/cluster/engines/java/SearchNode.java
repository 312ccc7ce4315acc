import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

/**
 * Runs one OpenSearch node in this process until it is told to end: java SearchNode FOLDER [setting=value]...
 *
 * The modules come from the class path and the checks of a production start are left out, so this shows how OpenSearch
 * analyses, indexes, searches and answers, not how it is to be deployed.
 */
public final class SearchNode extends Node {
    private static final String[] MODULES = {
        "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        "org.opensearch.index.mapper.MapperExtrasModulePlugin",
        "org.opensearch.index.reindex.ReindexModulePlugin",
        "org.opensearch.join.ParentJoinModulePlugin",
        "org.opensearch.painless.PainlessModulePlugin",
        "org.opensearch.transport.Netty4ModulePlugin",
    };

    private SearchNode(Environment environment, List<PluginInfo> modules) {
        super(environment, modules, true);
    }

    private static List<PluginInfo> modules() throws ClassNotFoundException {
        List<PluginInfo> found = new ArrayList<>();
        for (String module : MODULES) {
            Class.forName(module);
            found.add(new PluginInfo(module, "from the class path", "1", Version.CURRENT, "21", module, null, List.of(), false));
        }
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]).toAbsolutePath();
        Settings.Builder settings = Settings.builder().put("path.home", folder.toString());
        for (String each : List.of("config", "data", "logs", "modules", "plugins")) {
            Files.createDirectories(folder.resolve(each));
        }
        settings.put("path.data", folder.resolve("data").toString()).put("path.logs", folder.resolve("logs").toString());
        for (int index = 1; index < arguments.length; index++) {
            String[] pair = arguments[index].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), folder.resolve("config"), () -> "tests");
        SearchNode node = new SearchNode(environment, modules());
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception problem) {
                problem.printStackTrace();
            } finally {
                ended.countDown();
            }
        }));
        node.start();
        System.out.println("OpenSearch " + Version.CURRENT + " started");
        ended.await();
    }
}
