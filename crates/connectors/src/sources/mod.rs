//! One folder per source.

pub mod cloudevents;
mod image;
pub mod shopify;
pub mod sqlite;
