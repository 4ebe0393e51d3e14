//! The routes: method, path, who may ask, handler. One table, which the router, the access check, the tests
//! and the reference read; a route without a word on access cannot be written.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, Router, delete, get, post};
use writ_engine::config::Scope;
use writ_model::code;

use crate::problem::{self, Problem};
use crate::serve::Patience;
use crate::{App, cases, causality, intake, operate, pull, read, replays, retention, sagas};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody who reaches the listener.
    Open,
    /// Holders of a token with this scope.
    Scope(Scope),
    /// Holders of the `consume` token of the subscriber that the path names.
    Consumer,
    /// The source checks a signature; where it has none, holders of an `ingest` token.
    Source,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET`, `POST`, `DELETE`.
    pub method: &'static str,
    /// With `{name}` for each parameter.
    pub path: &'static str,
    /// Who may ask.
    pub access: Access,
    handler: fn() -> MethodRouter<App>,
}

const READ: Access = Access::Scope(Scope::Read);
const OPERATE: Access = Access::Scope(Scope::Operate);

const fn route(
    method: &'static str,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route { method, path, access, handler }
}

/// Every route.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("GET", "/healthz", Access::Open, || get(|| async { "ok\n" })),
    route("GET", "/readyz", Access::Open, || get(ready)),
    route("GET", "/metrics", READ, || get(metrics)),
    route("POST", "/v1/intake/{source}", Access::Source, || post(intake::take)),
    route("GET", "/v1/status", READ, || get(read::status)),
    route("GET", "/v1/events/{id}", READ, || get(read::event)),
    route("GET", "/v1/causality/{token}", READ, || get(causality::seen)),
    route("GET", "/v1/subjects/{id}/events", READ, || get(read::subject)),
    route("GET", "/v1/withheld", READ, || get(read::withheld)),
    route("GET", "/v1/findings", READ, || get(read::findings)),
    route("GET", "/v1/replays", READ, || get(replays::list)),
    route("POST", "/v1/replays", OPERATE, || post(replays::order)),
    route("GET", "/v1/replays/{id}", READ, || get(replays::show)),
    route("DELETE", "/v1/replays/{id}", OPERATE, || delete(replays::cancel)),
    route("POST", "/v1/replays/{id}/pause", OPERATE, || post(replays::pause)),
    route("POST", "/v1/replays/{id}/resume", OPERATE, || post(replays::resume)),
    route("POST", "/v1/replays/{id}/rate", OPERATE, || post(replays::rate)),
    route("GET", "/v1/retention", READ, || get(retention::report)),
    route("GET", "/v1/holds", READ, || get(retention::holds)),
    route("POST", "/v1/holds", OPERATE, || post(retention::place)),
    route("POST", "/v1/holds/{id}/release", OPERATE, || post(retention::release)),
    route("GET", "/v1/sagas", READ, || get(sagas::list)),
    route("POST", "/v1/sagas", OPERATE, || post(sagas::order)),
    route("GET", "/v1/sagas/{id}", READ, || get(sagas::show)),
    route("POST", "/v1/sagas/{id}/except", OPERATE, || post(sagas::except)),
    route("POST", "/v1/sagas/{id}/compensate", OPERATE, || post(sagas::compensate)),
    route("GET", "/v1/cases", READ, || get(cases::list)),
    route("POST", "/v1/cases", OPERATE, || post(cases::open)),
    route("GET", "/v1/cases/{id}", READ, || get(cases::show)),
    route("POST", "/v1/cases/{id}/acts", OPERATE, || post(cases::act)),
    route("GET", "/v1/cases/{id}/recipients/{name}/statement", READ, || get(cases::statement)),
    route("POST", "/v1/cases/{id}/recipients/{name}/reports", OPERATE, || post(cases::report)),
    route("POST", "/v1/cases/{id}/recipients/{name}/exception", OPERATE, || post(cases::except)),
    route("POST", "/v1/cases/{id}/recipients/{name}/exception/approve", OPERATE, || post(cases::approve)),
    route("GET", "/v1/subjects/{id}/recipients", READ, || get(cases::recipients)),
    route("POST", "/v1/subjects/{id}/readmit", OPERATE, || post(cases::readmit)),
    route("GET", "/v1/subscribers/{name}/dead-letters", READ, || get(read::dead_letters)),
    route("POST", "/v1/subscribers/{name}/dead-letters/{subject}/redrive", OPERATE, || post(operate::redrive)),
    route("POST", "/v1/subscribers/{name}/dead-letters/{subject}/discard", OPERATE, || post(operate::discard)),
    route("POST", "/v1/subscribers/{name}/pause", OPERATE, || post(operate::pause)),
    route("POST", "/v1/subscribers/{name}/resume", OPERATE, || post(operate::resume)),
    route("POST", "/v1/subscribers/{name}/cases/{id}/report", Access::Consumer, || post(cases::report_own)),
    route("GET", "/v1/subscribers/{name}/events", Access::Consumer, || get(pull::events)),
    route("POST", "/v1/subscribers/{name}/leases/{lease}", Access::Consumer, || post(pull::answer)),
    route("POST", "/v1/subscribers/{name}/leases/{lease}/extend", Access::Consumer, || post(pull::extend)),
];

pub(crate) fn router(app: App, patience: Patience) -> Router {
    let add = |router: Router<App>, route: &Route| router.route(route.path, guarded(route, &app));
    let routes = ROUTES.iter().fold(Router::new(), add);
    routes
        .fallback(|| async { Problem::not_found("there is nothing at this path") })
        .layer(map_response(problem::unify))
        .layer(Extension(patience))
        .layer(Extension(pull::Room::default()))
        .with_state(app)
}

fn guarded(route: &Route, app: &App) -> MethodRouter<App> {
    let handler = (route.handler)();
    match route.access {
        Access::Open | Access::Source => handler,
        Access::Scope(scope) => handler.route_layer(from_fn_with_state((app.clone(), scope), admit)),
        Access::Consumer => handler.route_layer(from_fn_with_state(app.clone(), admit_consumer)),
    }
}

/// Lets a request through whose token is for the events of the subscriber in the path. An answer to a lease is
/// taken while the engine drains: it spares a delivery.
async fn admit_consumer(
    State(app): State<App>,
    path: Result<Path<BTreeMap<String, String>>, PathRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // A path that does not decode names nobody.
    let name = path.ok().and_then(|Path(mut parts)| parts.remove("name")).unwrap_or_default();
    let caller = app.tokens.require_consumer(request.headers(), &name)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets a request through whose token has the scope; the caller's name goes with it. Acts need an engine
/// that will carry them out.
async fn admit(
    State((app, scope)): State<(App, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = app.tokens.require(request.headers(), scope)?;
    if scope == Scope::Read {
        causality::wait(&app, request.headers()).await?;
    }
    if scope == Scope::Operate && !app.engine.is_running() {
        return Err(stopping());
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.engine.is_running() { Ok("ready\n") } else { Err(stopping()) }
}

pub(crate) fn stopping() -> Problem {
    let remedy = "wait for the next start";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code::NOT_RUNNING, "the engine is stopping", remedy)
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.recorder.render())
}
