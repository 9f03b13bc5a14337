//! The owner, on another machine: everything goes over TLS, with the certificate that was printed before.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::bench::Bench;

/// The account.
const NAME: &str = "owner";
/// Its password.
const PASSWORD: &str = "heron-Quince-71-lantern";

/// Somebody who knows the address and the fingerprint.
pub(crate) struct Owner {
    folder: PathBuf,
    host_name: String,
    port: u16,
    fingerprint: String,
    token: Option<String>,
}

impl Owner {
    /// Looks at the certificate that the port shows: it must have that fingerprint, if one is known.
    pub(crate) fn meet(bench: &Bench, port: u16, host_name: &str, fingerprint: Option<&str>) -> Self {
        let folder = bench.path("owner");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), authority(port)).unwrap();
        let shown = succeed(
            Command::new("openssl")
                .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
                .arg(folder.join("ca.pem")),
        );
        let shown = shown.rsplit('=').next().unwrap().trim().to_owned();
        if let Some(fingerprint) = fingerprint {
            assert_eq!(shown, fingerprint, "the certificate on port {port}");
        }
        Self { folder, host_name: host_name.to_owned(), port, fingerprint: shown, token: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Asks the dashboard by its name: the whole chain and the name are verified. Status and body.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "-X", method, "-w", "\n%{http_code}", "--cacert"])
            .arg(self.path("ca.pem"));
        curl.args(["--connect-to", &format!("::127.0.0.1:{}", self.port)]);
        if let Some(token) = &self.token {
            curl.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let shown = succeed(curl.arg(format!("https://{}{target}", self.host_name)));
        let (body, status) = shown.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn json(&self, method: &str, target: &str, body: Option<&Value>, expected: u16) -> Value {
        let (status, text) = self.ask(method, target, body);
        assert_eq!(status, expected, "{method} {target}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Becomes the first administrator.
    pub(crate) fn claim(&mut self, code: &str) {
        let body = json!({"code": code, "name": NAME, "password": PASSWORD});
        let claimed = self.json("POST", "/api/auth/claim", Some(&body), 201);
        self.token = Some(claimed["access_token"].as_str().unwrap().to_owned());
    }

    /// Logs in anew.
    pub(crate) fn enter(&mut self) {
        let body = json!({"name": NAME, "password": PASSWORD});
        let entered = self.json("POST", "/api/auth/login", Some(&body), 200);
        self.token = Some(entered["access_token"].as_str().unwrap().to_owned());
    }

    /// How the services are.
    pub(crate) fn services(&self) -> Vec<Value> {
        self.json("GET", "/api/services", None, 200).as_array().unwrap().clone()
    }

    /// Logs the command line in.
    pub(crate) fn login(&self) {
        let server = format!("https://127.0.0.1:{}", self.port);
        let login = ["login", "--server", &server, "--fingerprint", &self.fingerprint, "--password-stdin", NAME];
        let done = self.command_line(&login, &format!("{PASSWORD}\n"));
        assert!(done.status.success(), "{done:?}");
    }

    /// Runs the command line, which must succeed. What it prints.
    pub(crate) fn lucid(&self, arguments: &[&str]) -> String {
        let done = self.command_line(arguments, "");
        assert!(done.status.success(), "lucid {arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Runs the command line of this machine.
    pub(crate) fn command_line(&self, arguments: &[&str], input: &str) -> Output {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/lucid");
        assert!(program.exists(), "{} is missing: run `cargo build -p lucid`", program.display());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).env("HOME", &self.folder);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input may have ended before.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

/// The last certificate of the chain that a port shows.
fn authority(port: u16) -> String {
    let address = format!("127.0.0.1:{port}");
    let shown =
        succeed(Command::new("timeout").args(["60", "openssl", "s_client", "-showcerts", "-connect", &address]));
    let begin = shown.rfind("-----BEGIN CERTIFICATE-----").expect("a certificate");
    assert!(shown[..begin].contains("-----BEGIN CERTIFICATE-----"), "leaf and authority: {shown}");
    let end = "-----END CERTIFICATE-----";
    let length = shown[begin..].find(end).unwrap() + end.len();
    format!("{}\n", &shown[begin..begin + length])
}

fn succeed(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
