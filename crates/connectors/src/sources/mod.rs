//! One folder per source.

pub mod cloudevents;
mod image;
pub mod postgres;
pub mod shopify;
pub mod sqlite;
