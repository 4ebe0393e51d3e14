//! The configuration file: any text is a configuration or an error.

use writ_engine::config::Config;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = serde_saphyr::from_str::<Config>(text);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        b"tenant: shop\nstore:\n  path: ./store\nsources: {}\nsubscribers: {}\n".to_vec(),
        b"tenant: &a shop\nstore: {path: *a}\nsources:\n  crm:\n    kind: postgres\n    tables:\n      public.customers:\n        key: [id]\n".to_vec(),
    ]
}
