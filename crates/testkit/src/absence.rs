//! What happens when a service is not installed here.

/// Panics when services are demanded, otherwise says on standard error that a test proves nothing.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen, and no subscriber is set up in tests")]
pub(crate) fn report(service: &str, looked_in: &str) {
    let demanded = std::env::var("WRIT_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
    assert!(!demanded, "WRIT_REQUIRE_SERVICES=1, but {service} is not installed (looked in {looked_in})");
    eprintln!("SKIPPED, NOTHING PROVEN: {service} is not installed (looked in {looked_in})");
}
