//! Bearer tokens with scopes. Compared in constant time by their SHA-256, which is all that is kept.

use aws_lc_rs::{constant_time, digest};
use axum::http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use writ_engine::config::Scope;
use writ_model::code;
use writ_model::id::SubscriberName;

use crate::problem::Problem;

struct Token {
    name: String,
    sha256: digest::Digest,
    scopes: Vec<Scope>,
    /// The only subscriber whose events it takes.
    subscriber: Option<String>,
}

/// The configured tokens. With none, everybody who reaches the listener may do everything, which is why a
/// listener without tokens binds to loopback only.
#[derive(Default)]
pub struct Tokens(Vec<Token>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, or `loopback` where no tokens are configured.
    pub name: String,
}

impl Tokens {
    /// Adds a token.
    pub fn add(&mut self, name: &str, secret: &SecretString, scopes: &[Scope]) {
        let sha256 = digest::digest(&digest::SHA256, secret.expose_secret().as_bytes());
        self.0.push(Token { name: name.to_owned(), sha256, scopes: scopes.to_vec(), subscriber: None });
    }

    /// Adds a token that takes one subscriber's events and does nothing else.
    pub fn add_consumer(&mut self, name: &str, secret: &SecretString, subscriber: &SubscriberName) {
        self.add(name, secret, &[Scope::Consume]);
        self.0.last_mut().expect("added above").subscriber = Some(subscriber.to_string());
    }

    /// No token is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller, if the request's token has the scope.
    pub(crate) fn require(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let Some(token) = self.identify(headers)? else { return Ok(loopback()) };
        if token.scopes.contains(&scope) { Ok(token.caller()) } else { Err(lacks(&token.name, scope)) }
    }

    /// The caller, if the request's token takes this subscriber's events.
    pub(crate) fn require_consumer(&self, headers: &HeaderMap, subscriber: &str) -> Result<Caller, Problem> {
        let Some(token) = self.identify(headers)? else { return Ok(loopback()) };
        if !token.scopes.contains(&Scope::Consume) {
            return Err(lacks(&token.name, Scope::Consume));
        }
        if token.subscriber.as_deref() == Some(subscriber) {
            Ok(token.caller())
        } else {
            Err(not_theirs(&token.name))
        }
    }

    /// The request's token; `None` where none are configured. Every configured token is compared, whatever the
    /// earlier ones gave.
    fn identify(&self, headers: &HeaderMap) -> Result<Option<&Token>, Problem> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let sha256 = digest::digest(&digest::SHA256, given.as_bytes());
        let mut found = None;
        for token in &self.0 {
            if constant_time::verify_slices_are_equal(token.sha256.as_ref(), sha256.as_ref()).is_ok() {
                found = Some(token);
            }
        }
        found.map(Some).ok_or_else(unauthorised)
    }
}

impl Token {
    fn caller(&self) -> Caller {
        Caller { name: self.name.clone() }
    }
}

fn loopback() -> Caller {
    Caller { name: "loopback".to_owned() }
}

fn unauthorised() -> Problem {
    let remedy = "send `Authorization: Bearer <token>` with a token from `api.tokens` in writ.yaml";
    Problem::new(StatusCode::UNAUTHORIZED, code::INTAKE_UNAUTHORISED, "no valid bearer token", remedy)
}

fn lacks(name: &str, scope: Scope) -> Problem {
    let detail = format!("token {name} lacks the scope {}", scope_name(scope));
    let remedy = "use another token, or add the scope in writ.yaml";
    Problem::new(StatusCode::FORBIDDEN, code::INTAKE_UNAUTHORISED, detail, remedy)
}

fn not_theirs(name: &str) -> Problem {
    let detail = format!("token {name} is for the events of another subscriber");
    let remedy = "use the token whose `subscriber` in `api.tokens` is this one";
    Problem::new(StatusCode::FORBIDDEN, code::INTAKE_UNAUTHORISED, detail, remedy)
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Ingest => "ingest",
        Scope::Read => "read",
        Scope::Operate => "operate",
        Scope::Consume => "consume",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("header"));
        headers
    }

    fn tokens() -> Tokens {
        let mut tokens = Tokens::default();
        tokens.add("shop", &SecretString::from("s3cret"), &[Scope::Ingest]);
        tokens
    }

    #[test]
    fn a_token_opens_its_scopes_and_no_other() {
        let ok = tokens().require(&headers("Bearer s3cret"), Scope::Ingest);
        assert_eq!(ok.map(|caller| caller.name).ok().as_deref(), Some("shop"));
        for (value, scope) in
            [("Bearer s3cret", Scope::Read), ("Bearer s3cre", Scope::Ingest), ("Basic s3cret", Scope::Ingest)]
        {
            assert!(tokens().require(&headers(value), scope).is_err(), "{value}");
        }
        assert!(tokens().require(&HeaderMap::new(), Scope::Ingest).is_err());
    }

    #[test]
    fn a_consumers_token_opens_one_subscriber_and_no_scope_opens_any_by_itself() {
        let mut tokens = tokens();
        let crm = SubscriberName::new("crm").expect("a name");
        tokens.add_consumer("consumer", &SecretString::from("c0nsume"), &crm);
        tokens.add("unbound", &SecretString::from("unb0und"), &[Scope::Consume]);
        assert!(tokens.require_consumer(&headers("Bearer c0nsume"), "crm").is_ok());
        for (value, subscriber) in [
            ("Bearer c0nsume", "erp"),
            ("Bearer c0nsume", ""),
            ("Bearer unb0und", "crm"),
            ("Bearer unb0und", ""),
            ("Bearer s3cret", "crm"),
            ("Bearer wrong", "crm"),
        ] {
            assert!(tokens.require_consumer(&headers(value), subscriber).is_err(), "{value} {subscriber}");
        }
        assert!(tokens.require(&headers("Bearer c0nsume"), Scope::Read).is_err());
    }

    #[test]
    fn tokens_never_print() {
        assert_eq!(format!("{:?}", tokens()), "Tokens(1)");
    }
}
