//! Runs a bundle on input documents, within bounds of work and time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;
use serde_json::Value;
use writ_model::verdict::{PolicyAnswer, PolicyVerdict, PolicyVersion};

use crate::bundle::ENTRY;
use crate::{PolicyError, answer, input};

/// Instructions that one decision may take: some hundred times a usual policy's.
pub const INSTRUCTIONS_MAX: usize = 250_000;

/// Time that one decision may take.
pub const TIME_MAX: Duration = Duration::from_millis(50);

/// Instructions between two looks at the clock.
const CLOCK_EVERY: u32 = 1024;

/// Decides for one thread. Every decision is by itself: nothing of one input is left for the next.
pub struct Engine {
    version: PolicyVersion,
    machine: Option<Box<RegoVM>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({})", self.version.0)
    }
}

impl Engine {
    pub(crate) fn new(version: PolicyVersion, program: Option<Arc<Program>>, data: regorus::Value) -> Self {
        let machine = program.map(|program| {
            let mut machine = Box::new(RegoVM::new());
            machine.set_max_instructions(INSTRUCTIONS_MAX);
            machine.set_execution_timer_config(Some(ExecutionTimerConfig {
                limit: TIME_MAX,
                check_interval: NonZeroU32::new(CLOCK_EVERY).expect("not zero"),
            }));
            machine.load_program(program);
            machine
                .set_data(data)
                .expect("the bundle's data were checked against its rules when it was loaded");
            machine
        });
        Self { version, machine }
    }

    /// The bundle that decides.
    pub fn version(&self) -> &PolicyVersion {
        &self.version
    }

    /// Decides. An error means that the policy gave no answer that can be used; [`Engine::verdict`] turns it
    /// into a hold.
    pub fn decide(&mut self, document: &Value) -> Result<PolicyVerdict, PolicyError> {
        let Some(machine) = &mut self.machine else { return Ok(verdict(PolicyAnswer::Clear, &self.version)) };
        machine.set_input(input::value(document));
        let answered = machine.execute_entry_point_by_name(ENTRY);
        machine.set_input(regorus::Value::Null);
        // The library's text may quote values, so only its kind is passed on.
        let answered = answered.map_err(|e| PolicyError::evaluation(kind_of(&format!("{e:?}"))))?;
        if answered == regorus::Value::Undefined {
            return Err(PolicyError::answer(format!(
                "{ENTRY} is undefined for this input; give it a default"
            )));
        }
        let document = serde_json::to_value(&answered).map_err(|_| PolicyError::answer("it is not JSON"))?;
        answer::read(&document, &self.version)
    }

    /// Decides, and holds the event where the policy fails: an event that nobody judged must neither go out
    /// nor be lost.
    pub fn verdict(&mut self, input: &Value) -> PolicyVerdict {
        let decided = self.decide(input);
        decided.unwrap_or_else(|error| verdict(PolicyAnswer::Hold(error.to_string()), &self.version))
    }
}

pub(crate) fn verdict(answer: PolicyAnswer, version: &PolicyVersion) -> PolicyVerdict {
    PolicyVerdict {
        answer,
        class: None,
        deny_subscribers: vec![],
        withhold: vec![],
        version: version.clone(),
    }
}

/// `TimeLimitExceeded` of `TimeLimitExceeded { elapsed: .. }`.
fn kind_of(error: &str) -> String {
    error.chars().take_while(char::is_ascii_alphanumeric).collect()
}
