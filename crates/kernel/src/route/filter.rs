//! Filters: reading and matching them.

use serde_json::{Map, Value};
use writ_model::code::{self, Code};
use writ_model::envelope::ClearHeader;
use writ_model::taxonomy::PriorityClass;

use super::attribute::{self, Attribute, NAMES, Test};

/// Deepest nesting of `all`, `any` and `not`.
const DEPTH_MAX: usize = 16;

/// Most comparisons in one subscription: filters run for every event and every subscriber.
const COMPARISONS_MAX: usize = 256;

/// One subscription's filters, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Expression);

impl Default for Filter {
    /// Everything.
    fn default() -> Self {
        Self(Expression::All(Vec::new()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Compare(Attribute, Test, String),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
}

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} filters{place}: {cause}", self.code())]
pub struct FilterError {
    place: String,
    cause: String,
}

impl FilterError {
    /// `WRIT-1009`.
    pub fn code(&self) -> Code {
        code::FILTER_INVALID
    }
}

pub(super) fn compile_set(filters: &[Value]) -> Result<Filter, FilterError> {
    let mut compiler = Compiler { place: String::new(), comparisons: 0 };
    compiler.list(filters, 0).map(|filters| Filter(Expression::All(filters)))
}

pub(super) fn matches(Filter(expression): &Filter, header: &ClearHeader, class: PriorityClass) -> bool {
    is_match(expression, header, class)
}

fn is_match(expression: &Expression, header: &ClearHeader, class: PriorityClass) -> bool {
    let is_match = |inner: &Expression| is_match(inner, header, class);
    match expression {
        Expression::Compare(attribute, test, wanted) => {
            attribute::passes(*attribute, *test, wanted, header, class)
        }
        Expression::All(filters) => filters.iter().all(is_match),
        Expression::Any(filters) => filters.iter().any(is_match),
        Expression::Not(filter) => !is_match(filter),
    }
}

struct Compiler {
    /// Where the compiler is, as a JSON pointer into the filters.
    place: String,
    comparisons: usize,
}

impl Compiler {
    fn error(&self, cause: impl Into<String>) -> FilterError {
        FilterError { place: self.place.clone(), cause: cause.into() }
    }

    /// Compiles what is at `step`, and comes back.
    fn at<T>(
        &mut self,
        step: &str,
        compile: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        let length = self.place.len();
        self.place.push('/');
        self.place.push_str(step);
        let compiled = compile(self)?;
        self.place.truncate(length);
        Ok(compiled)
    }

    fn list(&mut self, filters: &[Value], depth: usize) -> Result<Vec<Expression>, FilterError> {
        let one = |(index, filter): (usize, &Value)| self.at(&index.to_string(), |c| c.one(filter, depth));
        filters.iter().enumerate().map(one).collect()
    }

    fn one(&mut self, filter: &Value, depth: usize) -> Result<Expression, FilterError> {
        if depth == DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        let dialects = filter.as_object().filter(|object| object.len() == 1);
        let Some((dialect, body)) = dialects.and_then(|object| object.iter().next()) else {
            return Err(self.error("a filter is an object with exactly one dialect as its key"));
        };
        match dialect.as_str() {
            "exact" => self.at(dialect, |c| c.comparisons(Test::Equals, body)),
            "prefix" => self.at(dialect, |c| c.comparisons(Test::Begins, body)),
            "suffix" => self.at(dialect, |c| c.comparisons(Test::Ends, body)),
            "all" => self.at(dialect, |c| c.nested(body, depth).map(Expression::All)),
            "any" => self.at(dialect, |c| c.nested(body, depth).map(Expression::Any)),
            "not" => {
                self.at(dialect, |c| c.one(body, depth + 1).map(|inner| Expression::Not(Box::new(inner))))
            }
            other => Err(self.error(format!(
                "dialect {other:?} is not supported; use exact, prefix, suffix, all, any or not"
            ))),
        }
    }

    fn nested(&mut self, body: &Value, depth: usize) -> Result<Vec<Expression>, FilterError> {
        match body.as_array() {
            Some(filters) if !filters.is_empty() => self.list(filters, depth + 1),
            Some(_) | None => Err(self.error("needs an array of at least one filter")),
        }
    }

    /// `{"attribute": "value"}`; several pairs must all match.
    fn comparisons(&mut self, test: Test, body: &Value) -> Result<Expression, FilterError> {
        let pairs: Option<&Map<String, Value>> = body.as_object().filter(|pairs| !pairs.is_empty());
        let pairs = pairs.ok_or_else(|| self.error("needs an object with at least one attribute"))?;
        self.comparisons += pairs.len();
        if self.comparisons > COMPARISONS_MAX {
            return Err(self.error(format!("more than {COMPARISONS_MAX} comparisons in one subscription")));
        }
        let mut all = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            all.push(self.at(name, |c| c.comparison(name, test, value))?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::All(all) })
    }

    fn comparison(&self, name: &str, test: Test, value: &Value) -> Result<Expression, FilterError> {
        let attribute = Attribute::named(name).ok_or_else(|| self.error(refusal(name)))?;
        match value.as_str() {
            Some(text) if !text.is_empty() => Ok(Expression::Compare(attribute, test, text.to_owned())),
            Some(_) => Err(self.error("the value must not be empty")),
            None => Err(self.error("the value must be a string")),
        }
    }
}

/// Why an attribute cannot be filtered on.
fn refusal(name: &str) -> String {
    let usable = NAMES.join(", ");
    match name {
        "" => "the attribute's name must not be empty".to_owned(),
        "subject" | "data" | "causationid" => {
            format!("{name} is encrypted and routing never decrypts; filter on one of {usable}")
        }
        "sequence" => format!("sequence is given after routing; filter on one of {usable}"),
        other => format!("there is no attribute {other:?} to filter on; use one of {usable}"),
    }
}
