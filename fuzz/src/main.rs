//! The driver for a stable toolchain: mutates each target's seeds for a share of the time, without coverage.
//! It finds less than libFuzzer in an hour and more than nothing in a minute of continuous integration.
//!
//! `WRIT_FUZZ_SECONDS` and `WRIT_FUZZ_SEED` steer it; `writ-fuzz TARGET FILE` repeats a finding.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use writ_fuzz::{TARGETS, Target};

/// A decoder that takes longer for one input of this size is a finding too.
const SLOWEST: Duration = Duration::from_secs(5);

/// Inputs do not grow beyond this.
const BYTES_MAX: usize = 64 << 10;

/// Mutations of one input.
const MUTATIONS_MAX: u64 = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [target, file] = arguments.as_slice() {
        writ_fuzz::run(target, &std::fs::read(file).expect("the file can be read"));
        return ExitCode::SUCCESS;
    }
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let seed = number("WRIT_FUZZ_SEED", std::process::id().into());
    let seconds = Duration::from_secs(number("WRIT_FUZZ_SECONDS", 60));
    let share = seconds / u32::try_from(TARGETS.len()).expect("few targets");
    println!("WRIT_FUZZ_SEED={seed}");
    let findings = TARGETS.iter().filter(|target| !holds(target, share, &mut Random::of(seed))).count();
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn holds(target: &Target, share: Duration, random: &mut Random) -> bool {
    let seeds = (target.seeds)();
    let begun = Instant::now();
    let mut runs = 0_u64;
    while runs < seeds.len() as u64 || begun.elapsed() < share {
        let input = match seeds.get(usize::try_from(runs).unwrap_or(usize::MAX)) {
            Some(seed) => seed.clone(),
            None => random.mutate(&seeds),
        };
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        if result.is_err() || started.elapsed() > SLOWEST {
            println!("{:<12} FAILED: {}", target.name, keep(target.name, &input));
            return false;
        }
        runs += 1;
    }
    println!("{:<12} {runs} inputs in {} s", target.name, begun.elapsed().as_secs());
    true
}

/// Writes the input to `fuzz/artifacts/` and returns the command that repeats it.
fn keep(target: &str, input: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target);
    let sum = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let path = folder.join(format!("{sum:016x}"));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, input));
    written.expect("the artifact can be written");
    format!("repeat with `cargo run --manifest-path fuzz/Cargo.toml -- {target} {}`", path.display())
}

/// Xorshift (Marsaglia, 2003): repeatable, and nothing here needs more.
struct Random(u64);

impl Random {
    /// Zero is the one state that xorshift cannot leave.
    fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }

    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let chosen = self.below(seeds.len());
        let mut input = seeds.get(chosen).cloned().unwrap_or_default();
        for _ in 0..=self.next() % MUTATIONS_MAX {
            self.mutate_once(&mut input, seeds);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn mutate_once(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const TOKENS: &[&[u8]] = &[
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\x7f\xff\xff\xff",
            b"\x80",
            b"\"",
            b"\\u0000",
            b"[",
            b"{",
            b"\xc3\x28",
            b"\n",
            b"-",
            b"1e999",
        ];
        let at = self.below(input.len() + 1);
        let until = (at + 1 + self.below(8)).min(input.len());
        match self.next() % 7 {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.next().to_le_bytes()[0],
            2 => input.truncate(at),
            3 if at < until => drop(input.drain(at..until)),
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
            5 if at < until => input.extend_from_within(at..until),
            _ => {
                let other = self.below(seeds.len());
                let tail = seeds.get(other).map_or(&[][..], |seed| &seed[seed.len() / 2..]);
                input.truncate(at);
                input.extend_from_slice(tail);
            }
        }
    }
}
