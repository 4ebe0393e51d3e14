//! Every test, with the services that they need. A test whose service is missing fails; none is skipped.

use crate::services;
use crate::stage::Stage;

const TESTS: Stage = Stage {
    name: "tests",
    command: &["cargo", "test", "--workspace", "--no-fail-fast"],
    env: &[("WRIT_REQUIRE_SERVICES", "1")],
};

/// Installs the services, then runs the tests of the whole workspace.
pub(crate) fn run() -> crate::Answer {
    services::run()?;
    TESTS.run()?;
    println!("\nall tests passed");
    Ok(())
}
