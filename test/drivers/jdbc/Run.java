import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** The checks of the driver matrix with the JDBC driver. */
public final class Run {
    static final String TEXT = "Gr\u00fc\u00dfe, \u4e16\u754c, \ud83d\udc18, e\u0301";

    interface Check {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        line("{\"version\": " + quoted("JDBC " + org.postgresql.util.DriverInfo.DRIVER_VERSION) + "}");
        check("login", Run::login);
        check("wrong password", Run::wrongPassword);
        check("parameters", Run::parameters);
        check("prepared", Run::prepared);
        check("pipeline", Run::pipeline);
        check("copy", Run::copy);
        check("notice", Run::notice);
        check("notify", Run::notification);
        check("cancel", Run::cancel);
        check("large", Run::large);
        check("unicode", Run::unicode);
        check("restart", Run::restart);
    }

    static void check(String name, Check check) {
        String ok = "true";
        String note = "";
        try {
            check.run();
        } catch (Exception e) {
            ok = "false";
            note = String.valueOf(e.getMessage());
        }
        line("{\"check\": " + quoted(name) + ", \"ok\": " + ok + ", \"note\": " + quoted(note) + "}");
    }

    static void line(String text) {
        System.out.println(text);
        System.out.flush();
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            out.append(c < ' ' || c > '~' ? String.format("\\u%04x", (int) c) : c == '"' || c == '\\' ? "\\" + c : "" + c);
        }
        return out.append('"').toString();
    }

    static String env(String name) {
        return System.getenv("DRIVER_" + name);
    }

    static Connection connect() throws SQLException {
        return connect("", env("PASSWORD"));
    }

    static Connection connect(String prefix, String password) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", env(prefix + "USER"));
        properties.setProperty("password", password);
        properties.setProperty("connectTimeout", "30");
        properties.setProperty("sslmode", env("CA_FILE").isEmpty() ? "disable" : "verify-full");
        if (!env("CA_FILE").isEmpty()) {
            properties.setProperty("sslrootcert", env("CA_FILE"));
        }
        String database = java.net.URLEncoder.encode(env(prefix + "DATABASE"), java.nio.charset.StandardCharsets.UTF_8);
        return DriverManager.getConnection(
            "jdbc:postgresql://" + env("HOST") + ":" + env("PORT") + "/" + database, properties);
    }

    static void equal(Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionFailure(String.format("got %.100s, want %.100s", got, want));
        }
    }

    static final class AssertionFailure extends RuntimeException {
        AssertionFailure(String message) {
            super(message);
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

    static void login() throws SQLException {
        try (Connection connection = connect()) {
            equal(value(connection, "SELECT current_user"), env("USER"));
        }
    }

    static void wrongPassword() {
        try (Connection connection = connect("", "not-the-one")) {
            throw new AssertionFailure("a wrong password was accepted");
        } catch (SQLException e) {
            if (!e.getMessage().contains(env("REFUSAL"))) {
                throw new AssertionFailure("not the server's words: " + e.getMessage());
            }
        }
    }

    static void parameters() throws SQLException {
        BigDecimal numeric = new BigDecimal("12345678901234567890.123");
        OffsetDateTime when = OffsetDateTime.parse("2024-02-29T12:34:56.789Z");
        byte[] bytes = {0, 1, (byte) 0x80, (byte) 0xff, '\''};
        try (Connection connection = connect();
             PreparedStatement statement = connection.prepareStatement(
                 "SELECT ?::bigint, ?::numeric, ?::float8, ?::bool, ?::bytea, ?::timestamptz, ?::text[], ?::text")) {
            statement.setLong(1, -(1L << 62));
            statement.setBigDecimal(2, numeric);
            statement.setDouble(3, 0.1);
            statement.setBoolean(4, true);
            statement.setBytes(5, bytes);
            statement.setObject(6, when);
            statement.setArray(7, connection.createArrayOf("text", new String[] {"a", "b,c"}));
            statement.setNull(8, Types.VARCHAR);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                equal(row.getLong(1), -(1L << 62));
                equal(row.getBigDecimal(2), numeric);
                equal(row.getDouble(3), 0.1);
                equal(row.getBoolean(4), true);
                equal(Arrays.equals(row.getBytes(5), bytes), true);
                equal(row.getObject(6, OffsetDateTime.class).toInstant(), when.toInstant());
                equal(Arrays.asList((Object[]) row.getArray(7).getArray()), Arrays.asList("a", "b,c"));
                equal(row.getString(8), null);
            }
        }
    }

    static void prepared() throws SQLException {
        try (Connection connection = connect();
             PreparedStatement statement = connection.prepareStatement("SELECT ?::int * 2")) {
            statement.unwrap(org.postgresql.PGStatement.class).setPrepareThreshold(2);
            for (int i = 0; i < 5; i++) {
                statement.setInt(1, i);
                try (ResultSet row = statement.executeQuery()) {
                    row.next();
                    equal(row.getInt(1), 2 * i);
                }
            }
            equal(value(connection, "SELECT count(*) FROM pg_prepared_statements"), "1");
        }
    }

    static void pipeline() throws SQLException {
        try (Connection connection = connect()) {
            execute(connection, "CREATE TEMP TABLE batch (n int)");
            try (PreparedStatement statement = connection.prepareStatement("INSERT INTO batch VALUES (?)")) {
                for (int i = 0; i < 10; i++) {
                    statement.setInt(1, i);
                    statement.addBatch();
                }
                statement.executeBatch();
            }
            equal(value(connection, "SELECT sum(n) FROM batch"), "45");
        }
    }

    static void copy() throws Exception {
        try (Connection connection = connect()) {
            execute(connection, "CREATE TEMP TABLE copied (n int, t text)");
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder rows = new StringBuilder();
            for (int i = 0; i < 1000; i++) {
                rows.append(i).append("\trow ").append(i).append('\n');
            }
            copies.copyIn("COPY copied FROM STDIN", new StringReader(rows.toString()));
            StringWriter out = new StringWriter();
            copies.copyOut("COPY copied TO STDOUT", out);
            equal(out.toString().equals(rows.toString()), true);
        }
    }

    static void notice() throws SQLException {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.execute("DO $$ BEGIN RAISE NOTICE 'look here'; END $$");
            equal(String.valueOf(statement.getWarnings().getMessage()), "look here");
        }
    }

    static void notification() throws SQLException {
        String channel = "driver_" + ProcessHandle.current().pid();
        try (Connection connection = connect(); Connection other = connect()) {
            execute(connection, "LISTEN " + channel);
            execute(other, "NOTIFY " + channel + ", 'hello'");
            equal(connection.unwrap(PGConnection.class).getNotifications(30_000)[0].getParameter(), "hello");
        }
    }

    static void cancel() throws Exception {
        try (Connection connection = connect(); Connection other = connect(); Statement sleep = connection.createStatement()) {
            String pid = value(connection, "SELECT pg_backend_pid()");
            CompletableFuture<String> ended = CompletableFuture.supplyAsync(() -> {
                try {
                    sleep.execute("SELECT pg_sleep(30)");
                    return "the query was not cancelled";
                } catch (SQLException e) {
                    return e.getSQLState();
                }
            });
            while (!ended.isDone() && !"t".equals(value(other,
                    "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = " + pid))) {
                Thread.sleep(10);
            }
            sleep.cancel();
            equal(ended.get(), "57014");
        }
    }

    static void large() throws SQLException {
        String value = "0123456789abcdef".repeat(8 << 16);
        try (Connection connection = connect();
             PreparedStatement statement = connection.prepareStatement("SELECT ?::text")) {
            statement.setString(1, value);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                equal(value.equals(row.getString(1)), true);
            }
        }
    }

    static void unicode() throws SQLException {
        try (Connection connection = connect("OTHER_", env("OTHER_PASSWORD"));
             PreparedStatement statement = connection.prepareStatement("SELECT current_user, current_database(), ?::text")) {
            statement.setString(1, TEXT);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                equal(row.getString(1), env("OTHER_USER"));
                equal(row.getString(2), env("OTHER_DATABASE"));
                equal(row.getString(3), TEXT);
            }
        }
    }

    static void restart() throws Exception {
        try (Connection connection = connect()) {
            line("{\"waiting\": \"restart\"}");
            new BufferedReader(new InputStreamReader(System.in)).readLine();
            boolean lost = false;
            try {
                execute(connection, "SELECT 1");
            } catch (SQLException e) {
                lost = true;
            }
            equal(lost, true);
        }
        login();
    }
}
