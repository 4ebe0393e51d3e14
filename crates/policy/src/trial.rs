//! A bundle's own tests: every rule named `test_...` in a file that ends in `_test.rego` must be true.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;

use crate::bundle::{first_line, is_test, rego_engine};
use crate::{Bundle, DATA_FILE, PolicyError};

/// Time that one test may take.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Work between two looks at the clock.
const CLOCK_EVERY: u32 = 256;

/// One test and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The rule's path: `data.writ_test.test_consent_is_cleared`.
    pub rule: String,
    /// How it went.
    pub result: TrialResult,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialResult {
    /// It is true.
    Passed,
    /// It is undefined, or not true.
    Failed,
    /// It could not be evaluated.
    Broken(String),
}

impl Bundle {
    /// Runs the bundle's tests, in order of their names. An error means that a test file cannot be read.
    pub fn test(&self) -> Result<Vec<Trial>, PolicyError> {
        let policies: Vec<_> = self.files().iter().filter(|(path, _)| path != DATA_FILE).collect();
        if !policies.iter().any(|(path, _)| is_test(path)) {
            return Ok(Vec::new());
        }
        let mut engine = rego_engine(&policies, self.data())?;
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: TIME_MAX,
            check_interval: NonZeroU32::new(CLOCK_EVERY).expect("not zero"),
        });
        let compiled = engine.compile_with_entrypoint(&crate::ENTRY.into());
        let compiled = compiled.map_err(|e| PolicyError::bundle(first_line(&e)))?;
        let is_trial = |rule: &&String| rule.rsplit('.').next().is_some_and(|name| name.starts_with("test_"));
        let rules: BTreeSet<String> = compiled.get_rules().keys().filter(is_trial).cloned().collect();
        Ok(rules.into_iter().map(|rule| run(&mut engine, rule)).collect())
    }
}

fn run(engine: &mut regorus::Engine, rule: String) -> Trial {
    engine.set_input(regorus::Value::new_object());
    let result = match engine.eval_rule(rule.clone()) {
        Ok(regorus::Value::Bool(true)) => TrialResult::Passed,
        Ok(_) => TrialResult::Failed,
        Err(error) => TrialResult::Broken(first_line(&error)),
    };
    Trial { rule, result }
}
