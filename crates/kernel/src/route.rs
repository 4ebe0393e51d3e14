//! Which subscribers is this event for? The filter dialects of CloudEvents Subscriptions that need no
//! expression language (exact, prefix, suffix, all, any, not), over attributes of the clear header only: an
//! event that nobody wants is never decrypted.

mod attribute;
mod filter;

pub use filter::{Filter, FilterError};

use serde_json::Value;
use writ_model::envelope::ClearHeader;
use writ_model::taxonomy::PriorityClass;

/// The compiled filters of all subscribers, in the order in which they were given.
#[derive(Debug, Clone, Default)]
pub struct Router {
    subscriptions: Vec<Filter>,
}

impl Router {
    /// Takes each subscriber's filter.
    pub fn new(subscriptions: Vec<Filter>) -> Self {
        Self { subscriptions }
    }

    /// The indices of the subscribers whose filter matches.
    pub fn matches<'a>(
        &'a self,
        header: &'a ClearHeader,
        class: PriorityClass,
    ) -> impl Iterator<Item = usize> + 'a {
        let matching = self.subscriptions.iter().enumerate().filter(move |(_, f)| f.matches(header, class));
        matching.map(|(index, _)| index)
    }
}

impl Filter {
    /// Compiles a subscription's `filters`: all must match; none means everything. Errors name the place in
    /// the array and what to do.
    pub fn compile(filters: &[Value]) -> Result<Self, FilterError> {
        filter::compile_set(filters)
    }

    /// Says whether an event is wanted. Allocates nothing.
    pub fn matches(&self, header: &ClearHeader, class: PriorityClass) -> bool {
        filter::matches(self, header, class)
    }
}

#[cfg(test)]
mod tests;
