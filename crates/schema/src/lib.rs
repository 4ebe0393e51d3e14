//! Does this data match its schema, and how does a CloudEvent look on the wire?

mod built_in;

pub mod registry;

pub mod cloudevents;
