import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.CompletableFuture;

/** Logs in by each URL with JDBC, and uses the session. Prints a line for each: "works", or what failed. */
public final class Url {
    public static void main(String[] args) {
        for (String url : args.length > 0 ? args : new String[] {System.getenv("DATABASE_URL")}) {
            String said;
            try {
                said = use(url);
            } catch (Exception e) {
                said = e.getClass().getSimpleName() + ": " + e.getMessage();
            }
            System.out.println(said.replaceAll("\\s+", " "));
            System.out.flush();
        }
    }

    static String value(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static String use(String url) throws Exception {
        try (Connection connection = DriverManager.getConnection(url); Connection other = DriverManager.getConnection(url);
             Statement sleep = connection.createStatement()) {
            execute(connection, "CREATE TEMP TABLE kept (n int)");
            connection.setAutoCommit(false);
            execute(connection, "INSERT INTO kept VALUES (1)");
            connection.commit();
            execute(connection, "INSERT INTO kept VALUES (2)");
            connection.rollback();
            String count = value(connection, "SELECT count(*) FROM kept");
            if (!count.equals("1")) {
                return "transaction: " + count + " rows";
            }
            String pid = value(connection, "SELECT pg_backend_pid()");
            CompletableFuture<String> ended = CompletableFuture.supplyAsync(() -> {
                try {
                    sleep.execute("SELECT pg_sleep(30)");
                    return "no error";
                } catch (SQLException e) {
                    return e.getSQLState();
                }
            });
            while (!ended.isDone() && !"t".equals(value(other,
                    "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = " + pid))) {
                Thread.sleep(10);
            }
            sleep.cancel();
            return ended.get().equals("57014") ? "works" : "cancel: " + ended.get();
        }
    }
}
