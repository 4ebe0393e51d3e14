//! From configuration to parts: connectors, schemas, policy, filters. Opens nothing and connects to nothing,
//! so that `writ check` can do it beside a running engine. All mistakes are reported, not only the first.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use writ_connectors::descriptor::{Build, ConfigError, Context};
use writ_connectors::registry::{self, Side};
use writ_connectors::secret::Secrets;
use writ_connectors::source::PullSource;
use writ_connectors::subscriber::Subscriber;
use writ_kernel::dispatch::answers::{Rules, Unusable};
use writ_kernel::guarantee::{self, Promises, Resolved, Terms, Unkept};
use writ_kernel::route::{Filter, Router};
use writ_model::code;
use writ_model::id::{SourceName, SubscriberName};
use writ_model::mapping::Tables;
use writ_policy::{Bundle, Engine as Policy, TrialResult};
use writ_schema::registry::Registry;

use crate::config::{self, Config, Delivery};
use crate::error::EngineError;
use crate::handle::PushEntry;

/// A pull source, not yet running.
pub struct Pull {
    /// Its name.
    pub name: SourceName,
    /// Its connector.
    pub kind: String,
    /// The source.
    pub source: Box<dyn PullSource>,
}

/// A subscriber, not yet delivered to.
pub struct LanePart {
    /// Its name.
    pub name: SubscriberName,
    /// Its connector.
    pub kind: String,
    /// The subscriber.
    pub subscriber: Arc<dyn Subscriber>,
    /// How it is delivered to.
    pub delivery: Delivery,
    /// What it is promised, by change type.
    pub promises: Promises,
    /// Where the default could not be proven and at-least-once stands instead, in words.
    pub fallbacks: Vec<String>,
}

/// Everything that configuration alone decides.
pub struct Assembled {
    /// Sources that Writ reads.
    pub pull: Vec<Pull>,
    /// Sources that send to the intake.
    pub push: BTreeMap<SourceName, PushEntry>,
    /// Subscribers in name order: their place is their lane's number.
    pub lanes: Vec<LanePart>,
    /// Compiled filters, by lane.
    pub router: Arc<Router>,
    /// Schemas.
    pub registry: Arc<Registry>,
    /// The policy bundle, for what is captured.
    pub policy: Policy,
    /// The same bundle, for what is replayed.
    pub recall: Policy,
    /// The bundle's own tests that failed.
    pub policy_test_failures: Vec<String>,
    /// Mappings, by source.
    pub mappings: BTreeMap<SourceName, Tables>,
}

/// Builds every part, or says everything that is wrong.
pub fn assemble(config: &Config, secrets: &Secrets) -> Result<Assembled, Vec<EngineError>> {
    let mut errors = Vec::new();
    let mut keep = |result: Result<(), EngineError>| errors.extend(result.err());
    let mut parts =
        Parts { config, secrets, pull: Vec::new(), push: BTreeMap::new(), mappings: BTreeMap::new() };
    for name in config.sources.keys() {
        keep(parts.source(name));
    }
    let mut lanes = Vec::new();
    for name in config.subscribers.keys() {
        match parts.subscriber(name) {
            Ok(lane) => lanes.push(lane),
            Err(refused) => refused.into_iter().for_each(|error| keep(Err(error))),
        }
    }
    let mut filters = Vec::new();
    for (name, subscriber) in &config.subscribers {
        let filter = Filter::compile(&subscriber.filters);
        keep(filter.map(|filter| filters.push(filter)).map_err(|error| filter_invalid(name, &error)));
    }
    let registry = schemas(config).map_err(|error| keep(Err(error))).ok();
    let bundle = bundle(config).map_err(|error| keep(Err(error))).ok();
    let Parts { pull, push, mappings, .. } = parts;
    match (registry, bundle) {
        (Some(registry), Some((bundle, policy_test_failures))) if errors.is_empty() => {
            let router = Arc::new(Router::new(filters));
            let registry = Arc::new(registry);
            let (policy, recall) = (bundle.engine(), bundle.engine());
            Ok(Assembled {
                pull,
                push,
                lanes,
                router,
                registry,
                policy,
                recall,
                policy_test_failures,
                mappings,
            })
        }
        _ => Err(errors),
    }
}

struct Parts<'a> {
    config: &'a Config,
    secrets: &'a Secrets,
    pull: Vec<Pull>,
    push: BTreeMap<SourceName, PushEntry>,
    mappings: BTreeMap<SourceName, Tables>,
}

impl Parts<'_> {
    fn source(&mut self, name: &SourceName) -> Result<(), EngineError> {
        let source = &self.config.sources[name];
        let place = format!("sources.{name}");
        let descriptor = registry::find(&source.kind, Side::Source)
            .ok_or_else(|| unknown_kind(&place, &source.kind, Side::Source))?;
        let context = Context {
            tenant: &self.config.tenant,
            name: name.as_str(),
            tables: &source.tables,
            secrets: self.secrets,
        };
        let config = Value::Object(source.connector.clone());
        let mut tables = source.tables.clone();
        match descriptor.build {
            Build::Pull(build) => {
                let source = build(&context, config).map_err(|error| unusable(&place, &error))?;
                self.pull.push(Pull { name: name.clone(), kind: descriptor.name.to_owned(), source });
            }
            Build::Push(build) => {
                let source = build(&context, config).map_err(|error| unusable(&place, &error))?;
                tables = source.tables();
                let entry = PushEntry { kind: descriptor.name.to_owned(), source: Arc::from(source) };
                self.push.insert(name.clone(), entry);
            }
            Build::Subscriber(_) => return Err(unknown_kind(&place, &source.kind, Side::Source)),
        }
        self.mappings.insert(name.clone(), tables);
        Ok(())
    }

    fn subscriber(&self, name: &SubscriberName) -> Result<LanePart, Vec<EngineError>> {
        let built = self.connector(name).map_err(|error| vec![error])?;
        let subscriber = &self.config.subscribers[name];
        let Resolved { promises, fallbacks } = promised(name, subscriber, built.as_ref())?;
        Ok(LanePart {
            name: name.clone(),
            kind: subscriber.kind.clone(),
            subscriber: built,
            delivery: subscriber.delivery.clone(),
            promises,
            fallbacks: fallbacks.iter().map(ToString::to_string).collect(),
        })
    }

    fn connector(&self, name: &SubscriberName) -> Result<Arc<dyn Subscriber>, EngineError> {
        let subscriber = &self.config.subscribers[name];
        let place = format!("subscribers.{name}");
        let missing = || unknown_kind(&place, &subscriber.kind, Side::Subscriber);
        let descriptor = registry::find(&subscriber.kind, Side::Subscriber).ok_or_else(missing)?;
        let Build::Subscriber(build) = descriptor.build else { return Err(missing()) };
        let tables = Tables::new();
        let context = Context {
            tenant: &self.config.tenant,
            name: name.as_str(),
            tables: &tables,
            secrets: self.secrets,
        };
        let built = build(&context, Value::Object(subscriber.connector.clone()));
        let mut built = built.map_err(|error| unusable(&place, &error))?;
        answers(&subscriber.delivery, built.as_mut()).map_err(|cause| answers_unusable(&place, &cause))?;
        Ok(Arc::from(built))
    }
}

/// What the subscriber is promised, or what cannot be promised.
fn promised(
    name: &SubscriberName,
    given: &config::Subscriber,
    built: &dyn Subscriber,
) -> Result<Resolved, Vec<EngineError>> {
    let chosen = given.guarantee.as_ref().map(config::Wish::chosen).unwrap_or_default();
    let terms = Terms {
        chosen: &chosen,
        is_ad_audience: given.ad_audience,
        expires: given.delivery.expires_after.is_some(),
        proofs: &built.proofs(),
        repeats_within: given.delivery.age_max.0 + given.delivery.retry_longest.0,
    };
    guarantee::resolve(&terms).map_err(|refused| refusals(name, &given.kind, &refused))
}

/// One error for each reason, with all change types that it holds for.
fn refusals(name: &SubscriberName, kind: &str, refused: &[Unkept]) -> Vec<EngineError> {
    let mut of_code: BTreeMap<&str, Vec<&Unkept>> = BTreeMap::new();
    refused.iter().for_each(|one| of_code.entry(one.code().id).or_default().push(one));
    let error = |all: Vec<&Unkept>| {
        let first = all.first().copied()?;
        let causes: Vec<String> = all.iter().map(ToString::to_string).collect();
        let remedy = match first {
            Unkept::Unproven(_) => provable(kind).unwrap_or_else(|| first.remedy().to_owned()),
            Unkept::Forgets { .. } | Unkept::Owed(_) | Unkept::Endless(_) => first.remedy().to_owned(),
        };
        let place = format!("subscribers.{name}.guarantee");
        Some(EngineError::new(first.code(), &place, causes.join("; "), &remedy))
    };
    of_code.into_values().filter_map(error).collect()
}

/// What the connector could prove, and what it needs for that.
fn provable(kind: &str) -> Option<String> {
    let descriptor = registry::find(kind, Side::Subscriber)?;
    let each = descriptor.mechanisms.iter().map(|one| format!("{} ({})", one.mechanism, one.needs));
    let each: Vec<String> = each.collect();
    let remedy = format!("configure {}, or choose at-least-once", each.join(" or "));
    (!each.is_empty()).then_some(remedy)
}

fn schemas(config: &Config) -> Result<Registry, EngineError> {
    let files = match &config.schemas {
        Some(folder) => files(folder, &[".json"], code::SCHEMA_INVALID)?,
        None => Vec::new(),
    };
    Registry::from_files(files).map_err(|error| {
        EngineError::new(
            code::SCHEMA_INVALID,
            "load schemas",
            error,
            "correct the file, or remove it to use the built-in schema",
        )
    })
}

fn bundle(config: &Config) -> Result<(Bundle, Vec<String>), EngineError> {
    let invalid = |error: &dyn std::fmt::Display| {
        let remedy = "correct the bundle; see docs/reference/policy-input.md";
        EngineError::new(code::POLICY_INVALID, "load policies", error, remedy)
    };
    let bundle = match &config.policies {
        Some(folder) => {
            let files = files(folder, &[".rego", ".json"], code::POLICY_INVALID)?;
            let texts =
                files.into_iter().map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned()));
            Bundle::load(config.tenant.as_str(), texts).map_err(|error| invalid(&error))?
        }
        None => Bundle::none(),
    };
    let trials = bundle.test().map_err(|error| invalid(&error))?;
    let failures = trials.into_iter().filter_map(|trial| match trial.result {
        TrialResult::Passed => None,
        other => Some(format!("{}: {other:?}", trial.rule)),
    });
    let failures = failures.collect();
    Ok((bundle, failures))
}

/// The files of a folder with one of these endings, as (name, bytes), in name order.
fn files(
    folder: &Path,
    endings: &[&str],
    code: writ_model::code::Code,
) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
    let tried = format!("read {}", folder.display());
    let failed = |error: std::io::Error| {
        EngineError::new(code, &tried, error, "create the folder, or remove the key from writ.yaml")
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push((name, std::fs::read(&path).map_err(failed)?));
        }
    }
    found.sort();
    Ok(found)
}

fn unknown_kind(place: &str, kind: &str, side: Side) -> EngineError {
    let known: Vec<&str> =
        registry::ALL.iter().filter(|one| one.side() == side).map(|one| one.name).collect();
    let cause = format!("there is no connector {kind:?}");
    EngineError::new(
        code::CONFIG_INVALID,
        &format!("{place}.kind"),
        cause,
        &format!("use one of {}", known.join(", ")),
    )
}

fn unusable(place: &str, error: &ConfigError) -> EngineError {
    let tried = if error.key.is_empty() { place.to_owned() } else { format!("{place}.{}", error.key) };
    EngineError::new(error.code, &tried, &error.cause, &error.remedy)
}

/// Refuses rules that cannot be used, and tells the connector what the others look at.
fn answers(delivery: &Delivery, subscriber: &mut dyn Subscriber) -> Result<(), String> {
    let rules = delivery.rules();
    if rules == Rules::default() {
        return Ok(());
    }
    let causes = |found: Vec<Unusable>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    rules.check().map_err(causes)?;
    if subscriber.hand_over(rules.wants()) {
        return Ok(());
    }
    Err("this connector gets no HTTP answers".to_owned())
}

fn answers_unusable(place: &str, cause: &str) -> EngineError {
    let place = format!("{place}.delivery.answers");
    let remedy = "the first rule that fits decides: put narrower rules first; see docs/reference/delivery.md";
    EngineError::new(code::ANSWERS_UNUSABLE, &place, cause, remedy)
}

fn filter_invalid(name: &SubscriberName, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::new(
        code::FILTER_INVALID,
        &format!("subscribers.{name}.filters"),
        error,
        "see docs/reference/filters.md",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong with one subscriber of this kind with these rules.
    fn refused(subscriber: &Value) -> Vec<String> {
        let config = json!({ "tenant": "t", "store": { "path": "s" }, "subscribers": { "crm": subscriber } });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let errors = assemble(&config, &Secrets { base: "/".into() }).err().unwrap_or_default();
        errors.into_iter().map(|error| format!("{} {} {}", error.code, error.tried, error.cause)).collect()
    }

    #[test]
    fn rules_about_answers_are_refused_where_they_cannot_be_used() {
        let url = "http://127.0.0.1:1/";
        let webhook =
            |answers: Value| json!({ "kind": "webhook", "url": url, "delivery": { "answers": answers } });
        let retry = json!({ "status": 409, "then": "retry" });
        assert_eq!(refused(&webhook(json!([retry]))), Vec::<String>::new());
        let twice = refused(&webhook(json!([retry, retry])));
        let expected = "WRIT-1014 subscribers.crm.delivery.answers rule 2 is never reached";
        assert!(twice.len() == 1 && twice[0].starts_with(expected), "{twice:?}");
        let file = json!({ "kind": "file", "path": "/tmp/x", "delivery": { "answers": [retry] } });
        assert!(refused(&file).concat().ends_with("this connector gets no HTTP answers"), "{file}");
    }
}
