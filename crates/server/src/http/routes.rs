//! The route table as data: each route says beside its handler who may use it.
//!
//! What keeps others out is the permission that a handler takes ([`super::authority`]); [`Access`] is what the table promises,
//! and a test asks the running server for every route as every role whether both agree. There is no way to add a route
//! without saying who may use it.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use crate::app::App;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: health, the sign-in, the description of the API.
    Anyone,
    /// An agent, which proves itself inside its connection; nothing else is of use there.
    Agent,
    /// Whoever is known, writers included.
    SignedIn,
    /// A person with a session; no token may do it.
    Person,
    /// Viewers, operators, administrators.
    Reader,
    /// Operators and administrators.
    Operator,
    /// Administrators.
    Administrator,
    /// Writers, operators and administrators, who say so in each request; a cookie is no way.
    Pusher,
}

/// One method of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Such as `GET`.
    pub method: Method,
    /// With parameters in braces.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// Routes with their handlers.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<Arc<App>>,
    pub(super) list: Vec<Route>,
}

impl Routes {
    pub(super) fn get<T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on(Method::GET, path, access, handler)
    }

    pub(super) fn post<T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on(Method::POST, path, access, handler)
    }

    pub(super) fn put<T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on(Method::PUT, path, access, handler)
    }

    pub(super) fn patch<T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on(Method::PATCH, path, access, handler)
    }

    pub(super) fn delete<T: 'static>(
        self,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on(Method::DELETE, path, access, handler)
    }

    /// A question of Prometheus's API, which may be asked with parameters in the address or in the body.
    pub(super) fn question<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.get(path, Access::Reader, handler.clone()).post(path, Access::Reader, handler)
    }

    /// A change of what is stored, with both methods that Prometheus's API takes.
    pub(super) fn change<T: 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.post(path, Access::Administrator, handler.clone()).on(
            Method::PUT,
            path,
            Access::Administrator,
            handler,
        )
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    fn on<T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("a method that axum knows");
        self.list.push(Route { method, path, access });
        Self { router: self.router.route(path, on(filter, handler)), list: self.list }
    }
}
