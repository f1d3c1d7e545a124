import java.io.*;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import javax.net.ssl.*;

/** Judges servers as an application on JSSE would. Java 8 runs it, too. */
public class Connect {
  static final byte[] STARTUP =
      "\0\0\0\u001f\0\u0003\0\0user\0app\0database\0app\0\0".getBytes(StandardCharsets.ISO_8859_1);

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] job = line.split(" ");
      String verdict = "connects", text = "";
      try {
        connect(Integer.parseInt(job[1]), job[2], job[3]);
      } catch (Throwable err) {
        verdict = "fails";
        text = err.toString();
      }
      text = text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\t", " ");
      System.out.println(job[0] + "\t" + verdict + "\t\"" + text + "\"");
    }
  }

  static void login(Socket socket) throws IOException {
    socket.getOutputStream().write(STARTUP);
    if (socket.getInputStream().read() < 0) throw new EOFException("closed");
  }

  static void connect(int port, String ca, String name) throws Exception {
    if (ca.equals("-")) { // without TLS
      try (Socket plain = new Socket("127.0.0.1", port)) {
        login(plain);
      }
      return;
    }
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    try (InputStream file = new FileInputStream(ca)) {
      int n = 0;
      Collection<? extends Certificate> roots = CertificateFactory.getInstance("X.509").generateCertificates(file);
      for (Certificate root : roots) store.setCertificateEntry("root" + n++, root);
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (Socket plain = new Socket("127.0.0.1", port)) {
      plain.setSoTimeout(8000);
      plain.getOutputStream().write(new byte[] {0, 0, 0, 8, 4, (byte) 210, 22, 47});
      plain.getInputStream().read();
      try (SSLSocket secured = (SSLSocket) context.getSocketFactory().createSocket(plain, name, port, true)) {
        SSLParameters parameters = secured.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        secured.setSSLParameters(parameters);
        secured.startHandshake();
        login(secured);
      }
    }
  }
}
