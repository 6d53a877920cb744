//! Plugins through a real registry, which each test starts on this machine and ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::command::said;

/// Longer than a registry takes to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Debian's `docker-registry`, the reference implementation of the distribution specification.
struct Registry {
    process: Child,
    host: String,
    folder: tempfile::TempDir,
}

impl Registry {
    /// With a user and a password, if it wants them.
    fn start(login: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Whoever took it in between would be told by the registry's end.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}/blobs}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            folder.path().display()
        );
        if let Some((user, hash)) = login {
            std::fs::write(folder.path().join("htpasswd"), format!("{user}:{hash}\n")).unwrap();
            config.push_str(&format!(
                "auth: {{htpasswd: {{realm: weir, path: {}/htpasswd}}}}\n",
                folder.path().display()
            ));
        }
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("docker-registry: {error}\n  help: `apt install docker-registry`, or `cargo xtask plugins`")
            });
        let registry = Self { process, host: format!("127.0.0.1:{port}"), folder };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&registry.host).is_err() {
            assert!(Instant::now() < until, "the registry did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// `weir`, with the logins that are in this file.
    fn weir(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("plugin").args(arguments).stdin(Stdio::null());
        command.env("DOCKER_CONFIG", self.folder.path()).output().unwrap()
    }

    /// Every file that holds this blob's content.
    fn stored(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").unwrap();
        self.folder
            .path()
            .join("blobs/docker/registry/v2/blobs/sha256")
            .join(&digits[..2])
            .join(digits)
            .join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A component with a manifest.
fn plugin(folder: &Path) -> PathBuf {
    let (bare, manifest, packed) =
        (folder.join("bare.wasm"), folder.join("plugin.toml"), folder.join("small.wasm"));
    std::fs::write(&bare, wat::parse_str("(component)").unwrap()).unwrap();
    std::fs::write(
        &manifest,
        "name = \"small\"\nversion = \"1.2.3\"\ndescription = \"Nothing\"\nlicense = \"MIT\"",
    )
    .unwrap();
    let packed_well = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["plugin", "pack"])
        .arg(&bare)
        .arg("--manifest")
        .arg(&manifest)
        .arg("-o")
        .arg(&packed)
        .status()
        .unwrap();
    assert!(packed_well.success());
    packed
}

#[test]
fn what_is_pushed_can_be_pulled_by_tag_and_by_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, plugin) = (Registry::start(None), plugin(folder.path()));
    let place = format!("{}/some/small:1.2.3", registry.host);
    let push = || said(&registry.weir(&["push", plugin.to_str().unwrap(), &place]));
    let (pushed, errors, code) = push();
    assert_eq!((&*errors, code), ("", Some(0)));
    let by_digest = pushed.strip_prefix("pushed ").unwrap().trim().to_owned();
    assert!(by_digest.starts_with(&format!("{}/some/small@sha256:", registry.host)), "{by_digest}");
    assert_eq!(push().2, Some(0), "what is there is there");

    for (number, from) in [&place, &by_digest].into_iter().enumerate() {
        let file = folder.path().join(format!("{number}.wasm"));
        let pull = || said(&registry.weir(&["pull", from, "-o", file.to_str().unwrap()]));
        let (pulled, errors, code) = pull();
        assert_eq!((&*errors, code), ("", Some(0)), "{from}");
        assert!(pulled.contains("next: weir plugin inspect"), "{pulled}");
        assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&plugin).unwrap());
        let (_, errors, code) = pull();
        assert!(code == Some(64) && errors.contains("exists"), "{errors}");
    }

    // It is the artefact of other Wasm tools.
    let manifest = by_digest.split_once('@').unwrap().1;
    let manifest = std::fs::read(registry.stored(manifest)).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.3");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.licenses"], "MIT");
    let config = std::fs::read(registry.stored(manifest["config"]["digest"].as_str().unwrap())).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip2".into()));
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
}

#[test]
fn what_a_registry_has_changed_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, plugin) = (Registry::start(None), plugin(folder.path()));
    let place = format!("{}/small:1", registry.host);
    let (pushed, ..) = said(&registry.weir(&["push", plugin.to_str().unwrap(), &place]));
    let by_digest = pushed.strip_prefix("pushed ").unwrap().trim();
    let manifest = registry.stored(by_digest.split_once('@').unwrap().1);
    let image: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let layer = registry.stored(image["layers"][0]["digest"].as_str().unwrap());
    let mut bytes = std::fs::read(&layer).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let file = folder.path().join("x.wasm");
    let (_, errors, code) = said(&registry.weir(&["pull", &place, "-o", file.to_str().unwrap()]));
    assert!(code == Some(65) && errors.contains("was asked for"), "{errors}");
    assert!(!file.exists());
}

#[test]
fn logins_are_those_of_other_tools() {
    // `htpasswd -nbB me secret`
    let hash = "$2y$05$iah1JeqZyvo3Nwm5fxWKy.RpxjsPkOZ25Iyh5jzzGw4nQ/OoaEMsS";
    let folder = tempfile::tempdir().unwrap();
    let (registry, plugin) = (Registry::start(Some(("me", hash))), plugin(folder.path()));
    let place = format!("{}/small:1", registry.host);
    let push = || said(&registry.weir(&["push", plugin.to_str().unwrap(), &place]));
    let (_, errors, code) = push();
    assert!(code == Some(77) && errors.contains("docker login"), "{errors}");
    // What `docker login` keeps: base64 of `me:secret`.
    let auths = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"bWU6c2VjcmV0\"}}}}}}", registry.host);
    std::fs::write(registry.folder.path().join("config.json"), auths).unwrap();
    let (_, errors, code) = push();
    assert_eq!((&*errors, code), ("", Some(0)));
}

#[test]
fn what_is_not_there_is_told() {
    let registry = Registry::start(None);
    let (_, errors, code) = said(&registry.weir(&["pull", &format!("{}/nothing:1", registry.host)]));
    assert!(code == Some(66) && errors.contains("there is no"), "{errors}");
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (_, errors, code) = said(&registry.weir(&["pull", &format!("{nobody}/nothing:1")]));
    assert!(code == Some(69) && errors.contains("does not answer"), "{errors}");
    let (_, errors, code) = said(&registry.weir(&["pull", "nothing"]));
    assert!(code == Some(64) && errors.contains("it names no registry"), "{errors}");
}

/// A registry of which only reading is played, and what gives its tokens; it says what it was asked.
struct Played {
    host: String,
    asked: std::sync::mpsc::Receiver<String>,
    folder: tempfile::TempDir,
}

impl Played {
    /// With what it has at each path, and what it answers whoever wants a token.
    fn start(has: Vec<(String, Vec<u8>)>, token: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (tell, asked) = std::sync::mpsc::channel();
        let own = host.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request(&mut stream);
                let path = request.split(' ').nth(1).unwrap();
                let body = has.iter().find(|(there, _)| there == path).map(|(_, body)| &**body);
                let (status, extra, body) = match body {
                    _ if path.starts_with("/token") => ("200 OK", String::new(), token.as_bytes()),
                    _ if !request.contains("\r\nauthorization: Bearer opens\r\n") => {
                        let realm = format!("Bearer realm=\"http://{own}/token\",service=\"played\"");
                        ("401 Unauthorized", format!("www-authenticate: {realm}\r\n"), &b""[..])
                    }
                    Some(body) => ("200 OK", String::new(), body),
                    None => ("404 Not Found", String::new(), &b""[..]),
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\n{extra}content-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
                drop(tell.send(request));
            }
        });
        Self { host, asked, folder: tempfile::tempdir().unwrap() }
    }

    fn pull(&self, wanted: &str) -> (String, String, Option<i32>) {
        let file = self.folder.path().join("pulled.wasm");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["plugin", "pull", &format!("{}/{wanted}", self.host), "-o"]).arg(file);
        said(&command.env("DOCKER_CONFIG", self.folder.path()).stdin(Stdio::null()).output().unwrap())
    }
}

/// A request, with its body.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut some).unwrap();
        text.extend_from_slice(&some[..read]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return whole;
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    weir::trust::Digest::of(bytes).to_string()
}

/// A component, its manifest, and where a registry has them.
fn artefact(folder: &Path, media_type: &str) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let component = std::fs::read(plugin(folder)).unwrap();
    let (blob, size) = (digest(&component), component.len());
    let layer = serde_json::json!({"mediaType": media_type, "digest": blob, "size": size});
    let manifest = serde_json::json!({"schemaVersion": 2, "layers": [layer]}).to_string().into_bytes();
    let has = vec![
        (format!("/v2/small/manifests/{}", digest(&manifest)), manifest.clone()),
        (format!("/v2/small/blobs/{blob}"), component),
    ];
    (manifest, has)
}

#[test]
fn tokens_are_taken_by_both_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for token in [
        r#"{"token": "opens", "access_token": "opens", "expires_in": 60}"#,
        r#"{"token": "opens"}"#,
        r#"{"access_token": "opens", "token_type": "Bearer"}"#,
    ] {
        let (manifest, mut has) = artefact(folder.path(), "application/wasm");
        has.push(("/v2/small/manifests/1".to_owned(), manifest));
        let played = Played::start(has, token);
        let (_, errors, code) = played.pull("small:1");
        assert_eq!((&*errors, code), ("", Some(0)), "{token}");
        let asked: Vec<String> = played.asked.try_iter().collect();
        assert!(
            asked[1].starts_with("GET /token?scope=repository%3Asmall%3Apull&service=played "),
            "{}",
            asked[1]
        );
    }
    let (_, errors, code) = Played::start(Vec::new(), "{}").pull("small:1");
    assert!(code == Some(69) && errors.contains("its token cannot be read"), "{errors}");
}

#[test]
fn who_has_logged_in_with_a_token_is_given_another() {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, mut has) = artefact(folder.path(), "application/wasm");
    has.push(("/v2/small/manifests/1".to_owned(), manifest));
    let played = Played::start(has, r#"{"access_token": "opens"}"#);
    let auths = format!("{{\"auths\": {{\"{}\": {{\"identitytoken\": \"kept\"}}}}}}", played.host);
    std::fs::write(played.folder.path().join("config.json"), auths).unwrap();
    let (_, errors, code) = played.pull("small:1");
    assert_eq!((&*errors, code), ("", Some(0)));
    let asked: Vec<String> = played.asked.try_iter().collect();
    assert!(asked[1].starts_with("POST /token "), "{}", asked[1]);
    for part in [
        "grant_type=refresh_token",
        "refresh_token=kept",
        "scope=repository%3Asmall%3Apull",
        "service=played",
    ] {
        assert!(asked[1].contains(part), "{part} in {}", asked[1]);
    }
}

#[test]
fn of_an_index_the_one_that_is_wasm_is_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let (wasm, mut has) = artefact(folder.path(), "application/wasm");
    let (other, others) = artefact(folder.path(), "application/vnd.oci.image.layer.v1.tar+gzip");
    has.extend(others);
    let again = [&wasm[..], b" "].concat();
    has.push((format!("/v2/small/manifests/{}", digest(&again)), again.clone()));
    let mut index = |tag: &str, of: &[&[u8]]| {
        let about = |manifest: &&[u8]| {
            let size = manifest.len();
            serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": size})
        };
        let manifests: Vec<_> = of.iter().map(about).collect();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests}).to_string().into_bytes();
        has.push((format!("/v2/small/manifests/{tag}"), index));
    };
    index("none", &[&other]);
    index("two", &[&wasm, &again]);
    index("one", &[&other, &wasm]);
    let played = Played::start(has, r#"{"token": "opens"}"#);
    let (_, errors, code) = played.pull("small:none");
    assert!(
        code == Some(65) && errors.contains("none of the 1 artefacts of its index has WebAssembly"),
        "{errors}"
    );
    let (_, errors, code) = played.pull("small:two");
    assert!(
        code == Some(65) && errors.contains(&digest(&again)) && errors.contains("name one by its digest"),
        "{errors}"
    );
    let (pulled, errors, code) = played.pull("small:one");
    assert_eq!((&*errors, code), ("", Some(0)));
    assert!(pulled.contains(&digest(&wasm)), "by that digest it is pulled again: {pulled}");
}
