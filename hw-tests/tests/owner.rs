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
pub(crate) const PASSWORD: &str = "heron-Quince-71-lantern";

/// Somebody who knows the address and the fingerprint.
pub(crate) struct Owner {
    folder: PathBuf,
    host_name: String,
    address: String,
    port: u16,
    fingerprint: String,
    /// Name and password.
    account: (String, String),
    token: Option<String>,
}

impl Owner {
    /// Looks at the certificate that the port shows: it must have that fingerprint, if one is known.
    pub(crate) fn meet(bench: &Bench, port: u16, host_name: &str, fingerprint: Option<&str>) -> Self {
        let account = (NAME.to_owned(), PASSWORD.to_owned());
        let met = Self::look(&bench.path("owner"), ("127.0.0.1", port), host_name, account);
        let met = met.unwrap_or_else(|| panic!("port {port} shows no certificate"));
        if let Some(fingerprint) = fingerprint {
            assert_eq!(met.fingerprint, fingerprint, "the certificate on port {port}");
        }
        met
    }

    /// Looks at the certificate that an appliance shows, and asks nothing. `None` if it shows none.
    pub(crate) fn look(
        folder: &Path,
        (address, port): (&str, u16),
        host_name: &str,
        account: (String, String),
    ) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("ca.pem"), authority(address, port)?).unwrap();
        let shown = succeed(
            Command::new("openssl")
                .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
                .arg(folder.join("ca.pem")),
        );
        let fingerprint = shown.rsplit('=').next().unwrap().trim().to_owned();
        let (folder, host_name, address) = (folder.to_owned(), host_name.to_owned(), address.to_owned());
        Some(Self { folder, host_name, address, port, fingerprint, account, token: None })
    }

    /// SHA-256 of the certificate authority that it shows.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Asks the dashboard by its name: the whole chain and the name are verified. Status and body.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> (u16, String) {
        let mut curl = self.curl(60);
        curl.args(["-X", method]).args(self.bearer());
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        self.answer(curl, target)
    }

    /// Sends a file as the body. Status and body of the answer.
    pub(crate) fn send_file(&self, target: &str, file: &Path) -> (u16, String) {
        let mut curl = self.curl(300);
        curl.args(["-X", "POST", "-H", "Content-Type: application/octet-stream", "-T"]).arg(file).args(self.bearer());
        self.answer(curl, target)
    }

    /// Sends a file as a browser's form does. Status and body of the answer.
    pub(crate) fn send_form(&self, target: &str, file: &Path) -> (u16, String) {
        let mut curl = self.curl(300);
        curl.args(["-F", &format!("file=@{}", file.display())]);
        self.answer(curl, target)
    }

    /// Sends the fields of a form. Status and body of the answer.
    pub(crate) fn form(&self, target: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let mut curl = self.curl(60);
        for (name, value) in fields {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        self.answer(curl, target)
    }

    fn curl(&self, limit_s: u32) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", &limit_s.to_string(), "-w", "\n%{http_code}", "--cacert"]);
        curl.arg(self.path("ca.pem")).args(["--connect-to", &format!("::{}:{}", self.address, self.port)]);
        curl
    }

    fn bearer(&self) -> Vec<String> {
        let header = |token: &String| ["-H".to_owned(), format!("Authorization: Bearer {token}")];
        self.token.iter().flat_map(header).collect()
    }

    fn answer(&self, mut curl: Command, target: &str) -> (u16, String) {
        let shown = succeed(curl.arg(format!("https://{}{target}", self.host_name)));
        let (body, status) = shown.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn json(&self, method: &str, target: &str, body: Option<&Value>, expected: u16) -> Value {
        let (status, text) = self.ask(method, target, body);
        assert_eq!(status, expected, "{method} {target}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Whether somebody has claimed it.
    pub(crate) fn is_claimed(&self) -> bool {
        self.json("GET", "/api/auth/claim", None, 200)["claimed"].as_bool().unwrap()
    }

    /// Becomes the first administrator. The recovery key, which is shown this once.
    pub(crate) fn claim(&mut self, code: &str) -> String {
        let body = json!({"code": code, "name": self.account.0, "password": self.account.1});
        let claimed = self.json("POST", "/api/auth/claim", Some(&body), 201);
        self.token = Some(claimed["access_token"].as_str().unwrap().to_owned());
        claimed["recovery_key"].as_str().unwrap().to_owned()
    }

    /// Logs in anew.
    pub(crate) fn enter(&mut self) {
        let body = json!({"name": self.account.0, "password": self.account.1});
        let entered = self.json("POST", "/api/auth/login", Some(&body), 200);
        self.token = Some(entered["access_token"].as_str().unwrap().to_owned());
    }

    /// How the services are.
    pub(crate) fn services(&self) -> Vec<Value> {
        self.json("GET", "/api/services", None, 200).as_array().unwrap().clone()
    }

    /// The services that do not do their work, with what they say of it; `excused` ones may be degraded.
    pub(crate) fn unwell(&self, excused: &[&str]) -> Vec<String> {
        let is_well = |service: &Value| {
            let state = &service["health"]["state"];
            state == "healthy"
                || (state == "degraded" && service["name"].as_str().is_some_and(|name| excused.contains(&name)))
        };
        let services = self.services().into_iter().filter(|service| !is_well(service));
        services.map(|service| format!("{} {}", service["name"], service["health"])).collect()
    }

    /// A page of the dashboard, as a browser that is logged in gets it; with fields, a form that is sent. Status and
    /// body.
    pub(crate) fn page(&self, target: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let mut curl = self.curl(60);
        curl.args(["--cookie", &format!("lucid_session={}", self.token.as_deref().expect("logged in"))]);
        for (name, value) in fields {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        self.answer(curl, target)
    }

    /// Fills in the form of the page `from` that goes to `to`, with the password, and sends it. Status and body.
    pub(crate) fn submit(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let (status, page) = self.page(from, &[]);
        assert_eq!(status, 200, "{page}");
        let form = page.split(&format!("action=\"{to}\"")).nth(1);
        let form = form.unwrap_or_else(|| panic!("no form to {to} in {page}"));
        let token = between(form, "name=\"csrf\" value=\"", "\"");
        self.page(to, &[fields, &[("csrf", token), ("password", &self.account.1)]].concat())
    }

    /// Has the dashboard restart the appliance.
    pub(crate) fn restart(&self) {
        let (status, answer) = self.submit("/system", "/system/restart", &[]);
        assert_eq!(status, 303, "{answer}");
    }

    /// The board's serial number, as the dashboard shows it.
    pub(crate) fn board(&self) -> String {
        let (status, page) = self.page("/system", &[]);
        assert_eq!(status, 200, "{page}");
        between(page.split("Serial number").nth(1).expect("a serial number"), "<bdi>", "</bdi>").to_owned()
    }

    /// Logs the command line in.
    pub(crate) fn login(&self) {
        let server = format!("https://{}:{}", self.address, self.port);
        let (name, password) = &self.account;
        let login = ["login", "--server", &server, "--fingerprint", &self.fingerprint, "--password-stdin", name];
        let done = self.command_line(&login, &format!("{password}\n"));
        assert!(done.status.success(), "{done:?}");
    }

    /// Runs the command line, which must succeed. What it prints.
    pub(crate) fn lucid(&self, arguments: &[&str]) -> String {
        let done = self.command_line(arguments, "");
        assert!(done.status.success(), "lucid {arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// The command line of this machine, with these arguments.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/lucid");
        assert!(program.exists(), "{} is missing: run `cargo build -p lucid`", program.display());
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).env("HOME", &self.folder);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// Runs the command line of this machine.
    pub(crate) fn command_line(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.program(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input may have ended before.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

/// The last certificate of the chain that a port shows; `None` if it shows no chain, because it is not up yet.
fn authority(address: &str, port: u16) -> Option<String> {
    let address = format!("{address}:{port}");
    let mut look = Command::new("timeout");
    look.args(["60", "openssl", "s_client", "-showcerts", "-connect", &address]).stdin(Stdio::null());
    let shown = look.output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let begin = shown.rfind("-----BEGIN CERTIFICATE-----")?;
    assert!(shown[..begin].contains("-----BEGIN CERTIFICATE-----"), "leaf and authority: {shown}");
    let end = "-----END CERTIFICATE-----";
    let length = shown[begin..].find(end)? + end.len();
    Some(format!("{}\n", &shown[begin..begin + length]))
}

/// The text after `before`, up to `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {rest}")).0
}

fn succeed(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
