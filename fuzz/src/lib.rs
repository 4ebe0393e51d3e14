//! Fuzz targets: every decoder that reads bytes from outside must answer, never panic, and hold its own
//! round trip. The list is used by the stable driver (`main.rs`) and by the libFuzzer binaries.

mod audit;
mod capture;
mod card;
mod config;
mod log;

/// One decoder under test.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Valid inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Panics when the decoder misbehaves.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "pgoutput", seeds: capture::pgoutput_seeds, run: capture::pgoutput },
    Target { name: "cloudevents", seeds: capture::cloudevents_seeds, run: capture::cloudevents },
    Target { name: "shopify", seeds: capture::shopify_seeds, run: capture::shopify },
    Target { name: "log", seeds: log::seeds, run: log::run },
    Target { name: "leaf", seeds: audit::leaf_seeds, run: audit::leaf },
    Target { name: "tiles", seeds: audit::tiles_seeds, run: audit::tiles },
    Target { name: "checkpoint", seeds: audit::checkpoint_seeds, run: audit::checkpoint },
    Target { name: "card", seeds: card::seeds, run: card::run },
    Target { name: "config", seeds: config::seeds, run: config::run },
];

/// Runs one target by name on one input.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the name is on the list");
    (target.run)(bytes);
}
