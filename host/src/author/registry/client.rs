//! The five requests, and the token that some registries want for them.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use docker_credential::DockerCredential;
use serde::Deserialize;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::reference::Reference;
use crate::error::{Error, Kind, Result};
use crate::trust::Digest;

/// A registry that takes its time.
const PATIENCE: Duration = Duration::from_secs(300);
/// A token that is made to be read for long.
const TOKEN_BYTES: u64 = 1 << 20;
/// What a registry says of a failure, as far as it is shown.
const REASON_BYTES: u64 = 1 << 10;

/// One repository of a registry.
pub(super) struct Client<'a> {
    agent: Agent,
    of: &'a Reference,
    /// The registry, and below it the repository.
    root: String,
    base: String,
    /// What the requests are for: `pull` or `pull,push`.
    actions: &'static str,
    /// What goes into `Authorization`, once the registry wanted something.
    authorization: Option<String>,
}

/// One request, which may have to be made twice.
struct Request<'a> {
    method: &'static str,
    url: String,
    accept: Option<&'a str>,
    body: Option<(&'a str, &'a [u8])>,
}

/// How somebody has logged in.
enum Login {
    /// With a password: what goes into `Authorization`.
    Basic(String),
    /// With a token, for which there are others that open something.
    Identity(String),
}

impl<'a> Client<'a> {
    pub(super) fn new(of: &'a Reference, actions: &'static str) -> Result<Self> {
        let scheme = if of.is_local() { "http" } else { "https" };
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        // What a registry redirects to is a store of blobs, which has no business with what it was told, and is spoken to
        // as safely as the registry is.
        let config = config.redirect_auth_headers(ureq::config::RedirectAuthHeaders::Never);
        let agent = config.https_only(!of.is_local()).build().into();
        let root = format!("{scheme}://{}/", of.host);
        let base = format!("{root}v2/{}", of.repository);
        Ok(Self { agent, of, root, base, actions, authorization: None })
    }

    pub(super) fn manifest(&mut self, wanted: &str, accept: &str, most: u64) -> Result<Vec<u8>> {
        let url = format!("{}/manifests/{wanted}", self.base);
        let response = self.send(&Request { method: "GET", url, accept: Some(accept), body: None })?;
        self.read(self.expect(response, StatusCode::OK)?, most)
    }

    pub(super) fn blob(&mut self, digest: &Digest, most: u64) -> Result<Vec<u8>> {
        let url = format!("{}/blobs/{digest}", self.base);
        let response = self.send(&Request { method: "GET", url, accept: None, body: None })?;
        self.read(self.expect(response, StatusCode::OK)?, most)
    }

    /// Uploads a blob, if the registry does not have it.
    pub(super) fn upload(&mut self, bytes: &[u8], digest: &str) -> Result<()> {
        let url = format!("{}/blobs/{digest}", self.base);
        if self.send(&Request { method: "HEAD", url, accept: None, body: None })?.status() == StatusCode::OK {
            return Ok(());
        }
        let url = format!("{}/blobs/uploads/", self.base);
        let response = self.send(&Request {
            method: "POST",
            url,
            accept: None,
            body: Some(("application/octet-stream", &[])),
        })?;
        let response = self.expect(response, StatusCode::ACCEPTED)?;
        let place = response.headers().get("location").and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| self.failed("it does not say where to upload to"))?;
        let place = self.absolute(place)?;
        let and = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{and}digest={digest}");
        let body = Some(("application/octet-stream", bytes));
        let response = self.send(&Request { method: "PUT", url, accept: None, body })?;
        self.expect(response, StatusCode::CREATED).map(drop)
    }

    pub(super) fn put_manifest(&mut self, tag: &str, media_type: &str, bytes: &[u8]) -> Result<()> {
        let url = format!("{}/manifests/{tag}", self.base);
        let body = Some((media_type, bytes));
        let response = self.send(&Request { method: "PUT", url, accept: None, body })?;
        self.expect(response, StatusCode::CREATED).map(drop)
    }

    /// A place that may be one of the registry's own, and has to be as safe as that.
    fn absolute(&self, place: &str) -> Result<String> {
        if let Some(path) = place.strip_prefix('/') {
            return Ok(format!("{}{path}", self.root));
        }
        match place.starts_with(&self.root) || place.starts_with("https://") {
            true => Ok(place.to_owned()),
            false => Err(self.failed("it wants to be sent elsewhere what it was asked to keep")),
        }
    }

    /// Sends a request, a second time with a token if the registry wants one.
    fn send(&mut self, request: &Request<'_>) -> Result<Response<Body>> {
        let response = self.send_once(request)?;
        if response.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Ok(response);
        }
        let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default().to_owned();
        self.authorization = Some(self.authorize(&challenge)?);
        self.send_once(request)
    }

    fn send_once(&self, request: &Request<'_>) -> Result<Response<Body>> {
        let mut built = ureq::http::Request::builder().method(request.method).uri(&request.url);
        if let Some(accept) = request.accept {
            built = built.header("accept", accept);
        }
        // What was given for the registry is the registry's alone.
        if let Some(authorization) =
            self.authorization.as_ref().filter(|_| request.url.starts_with(&self.root))
        {
            built = built.header("authorization", authorization);
        }
        let sent = match request.body {
            Some((media_type, bytes)) => {
                let built = built.header("content-type", media_type).body(bytes);
                built.map_err(|error| self.failed(error)).map(|request| self.agent.run(request))
            }
            None => built.body(()).map_err(|error| self.failed(error)).map(|request| self.agent.run(request)),
        };
        sent?.map_err(|error| {
            Error::new(Kind::Unavailable, format!("{} does not answer: {error}", self.of.host))
        })
    }

    /// What the registry wants to see, by its challenge: <https://distribution.github.io/distribution/spec/auth/token/>, and
    /// for whoever logged in with a token in place of a password <https://distribution.github.io/distribution/spec/auth/oauth/>.
    fn authorize(&self, challenge: &str) -> Result<String> {
        let login = self.credentials();
        if let Some((kind, _)) = challenge.split_once(' ')
            && kind.eq_ignore_ascii_case("basic")
        {
            return match login {
                Some(Login::Basic(basic)) => Ok(basic),
                _ => Err(self.nobody()),
            };
        }
        let field = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let realm = field("realm").ok_or_else(|| self.nobody())?;
        if !(realm.starts_with("https://") || self.of.is_local()) {
            return Err(self.failed("it wants a password to be sent without encryption"));
        }
        let scope = format!("repository:{}:{}", self.of.repository, self.actions);
        let service = field("service").map(|service| ("service", service));
        let scope = [("scope", &*scope)].into_iter().chain(service);
        let response = match &login {
            Some(Login::Identity(token)) => {
                let grant =
                    [("grant_type", "refresh_token"), ("client_id", "weir"), ("refresh_token", token)];
                self.agent.post(realm).send_form(scope.chain(grant))
            }
            Some(Login::Basic(basic)) => {
                self.agent.get(realm).query_pairs(scope).header("authorization", basic).call()
            }
            None => self.agent.get(realm).query_pairs(scope).call(),
        };
        let response = response.map_err(|error| self.failed(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.nobody());
        }
        // By either name, and from some by both.
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let token = serde_json::from_slice::<Token>(&self.read(response, TOKEN_BYTES)?).ok();
        let token = token.and_then(|Token { token, access_token }| token.or(access_token));
        Ok(format!("Bearer {}", token.ok_or_else(|| self.failed("its token cannot be read"))?))
    }

    /// What `docker login` and its like have kept for this registry.
    fn credentials(&self) -> Option<Login> {
        Some(match docker_credential::get_credential(&self.of.host).ok()? {
            DockerCredential::UsernamePassword(user, password) => {
                Login::Basic(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            DockerCredential::IdentityToken(token) => Login::Identity(token),
        })
    }

    fn nobody(&self) -> Error {
        let message = format!(
            "{} does not let {} be used without a login, or not by whose there is",
            self.of.host, self.of.repository
        );
        Error::new(Kind::NoPermission, message)
            .help(format!("log in, such as with `docker login {}`", self.of.host))
    }

    fn expect(&self, response: Response<Body>, wanted: StatusCode) -> Result<Response<Body>> {
        let status = response.status();
        if status == wanted {
            return Ok(response);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.nobody());
        }
        if status == StatusCode::NOT_FOUND {
            return Err(Error::new(Kind::NoInput, format!("there is no {} in the registry", self.of)));
        }
        let reason = self.read(response, REASON_BYTES).unwrap_or_default();
        Err(self.failed(format!("{status}: {}", String::from_utf8_lossy(&reason).trim())))
    }

    fn read(&self, response: Response<Body>, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        body.take(most + 1).read_to_end(&mut bytes).map_err(|error| self.failed(error))?;
        if bytes.len() as u64 > most {
            return Err(self.failed(format!("it gives more than {most} bytes")));
        }
        Ok(bytes)
    }

    fn failed(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Kind::Unavailable, format!("the registry {} cannot be used: {why}", self.of.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_in_the_clear_for_a_registry_elsewhere() {
        let is_refused = |host: &str| {
            let of = Reference::parse(&format!("{host}/small")).unwrap();
            let client = Client::new(&of, "pull").unwrap();
            // As if it had been redirected to.
            let answer = client.agent.get("http://127.0.0.1:1/").call();
            matches!(answer, Err(ureq::Error::RequireHttpsOnly(_)))
        };
        assert!(is_refused("ghcr.io"));
        assert!(!is_refused("localhost:5000"));
    }
}
