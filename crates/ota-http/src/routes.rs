//! Every route of the operators' API: what it does, in a noun and a verb, and who may ask for it. A route that is not in
//! this table is none.
//!
//! `{product_key}` in a path is the product that all of it belongs to; whoever may not touch that product gets no further.
//! Where the product shows only once something is read, [`crate::Request::may_touch`] is asked about it. The other names in
//! braces tell the audit log what a request is about.

use http::Method;
use ota_core::access::{Caller, Role};

use crate::Problem;

/// The name of the part of a path that is a product's key.
const PRODUCT_KEY: &str = "{product_key}";

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with what it leaves open in braces.
    pub path: &'static str,
    /// What it is about.
    pub noun: &'static str,
    /// What it does.
    pub verb: &'static str,
    /// The least role that may ask for it.
    pub role: Role,
    /// Whether it concerns what belongs to no product, so that a caller who is bound to products may not.
    pub unbound: bool,
    /// Whether it is in the audit log when it changes something.
    pub listed: bool,
}

const fn read(path: &'static str, noun: &'static str) -> Route {
    Route { method: "GET", path, noun, verb: "read", role: Role::Viewer, unbound: false, listed: true }
}

const fn change(method: &'static str, path: &'static str, noun: &'static str, verb: &'static str) -> Route {
    Route { method, path, noun, verb, role: Role::Operator, unbound: false, listed: true }
}

const fn look(method: &'static str, path: &'static str, noun: &'static str) -> Route {
    Route { method, ..read(path, noun) }
}

/// Every route.
pub const ROUTES: &[Route] = &[
    change("POST", "/v1/products", "product", "create").unbound(),
    read("/v1/products", "product"),
    read("/v1/products/{product_key}", "product"),
    change("PATCH", "/v1/products/{product_key}", "product", "set").by(Role::Admin),
    change("POST", "/v1/products/{product_key}/modules", "module", "create"),
    change("PATCH", "/v1/products/{product_key}/modules/{name}", "module", "change"),
    change("DELETE", "/v1/products/{product_key}/modules/{name}", "module", "delete"),
    read("/v1/products/{product_key}/security", "security"),
    change("PUT", "/v1/products/{product_key}/security", "security", "set").by(Role::Admin),
    read("/v1/products/{product_key}/versions", "device"),
    change("POST", "/v1/products/{product_key}/devices", "device", "register"),
    read("/v1/products/{product_key}/devices", "device"),
    read("/v1/products/{product_key}/devices/{name}", "device"),
    change("PATCH", "/v1/products/{product_key}/devices/{name}", "device", "change"),
    change("DELETE", "/v1/products/{product_key}/devices/{name}", "device", "delete"),
    read("/v1/products/{product_key}/devices/{name}/versions", "device"),
    read("/v1/products/{product_key}/devices/{name}/tasks", "task"),
    change("POST", "/v1/products/{product_key}/devices/{name}/sub-devices", "sub-device", "add"),
    read("/v1/products/{product_key}/devices/{name}/sub-devices", "sub-device"),
    change(
        "DELETE",
        "/v1/products/{product_key}/devices/{name}/sub-devices/{sub_product_key}/{sub_name}",
        "sub-device",
        "remove",
    ),
    read("/v1/settings", "settings"),
    change("PATCH", "/v1/settings", "settings", "set").by(Role::Admin).unbound(),
    change("POST", "/v1/uploads", "upload", "create"),
    change("PUT", "/v1/uploads", "upload", "create"),
    look("OPTIONS", "/v1/uploads", "upload"),
    change("PATCH", "/v1/uploads/{upload_id}", "upload", "append").unlisted(),
    look("HEAD", "/v1/uploads/{upload_id}", "upload"),
    read("/v1/uploads/{upload_id}", "upload"),
    change("DELETE", "/v1/uploads/{upload_id}", "upload", "delete"),
    change("POST", "/v1/packages", "package", "create"),
    read("/v1/packages", "package"),
    read("/v1/packages/{package_id}", "package"),
    change("DELETE", "/v1/packages/{package_id}", "package", "delete"),
    read("/v1/packages/{package_id}/download_url", "package"),
    change("POST", "/v1/packages/{package_id}/verification", "package", "verify"),
    read("/v1/packages/{package_id}/verification", "package"),
    change("POST", "/v1/deltas", "delta", "create"),
    read("/v1/deltas", "delta"),
    read("/v1/deltas/{delta_id}", "delta"),
    change("POST", "/v1/batches", "batch", "create"),
    read("/v1/batches", "batch"),
    read("/v1/batches/{batch_id}", "batch"),
    change("PATCH", "/v1/batches/{batch_id}", "batch", "change"),
    change("POST", "/v1/batches/{batch_id}/cancel", "batch", "cancel"),
    read("/v1/batches/{batch_id}/history", "batch"),
    read("/v1/batches/{batch_id}/tasks", "task"),
    read("/v1/batches/{batch_id}/tasks/{device_name}", "task"),
    read("/v1/batches/{batch_id}/devices/{device_name}/why", "task"),
    change("POST", "/v1/tasks/confirm", "task", "confirm"),
    change("POST", "/v1/tasks/reupgrade", "task", "reupgrade"),
    change("POST", "/v1/tasks/cancel", "task", "cancel"),
    read("/v1/events", "event"),
    change("POST", "/v1/webhooks", "webhook", "create").by(Role::Admin),
    read("/v1/webhooks", "webhook").by(Role::Operator),
    read("/v1/webhooks/{webhook_id}", "webhook").by(Role::Operator),
    change("PATCH", "/v1/webhooks/{webhook_id}", "webhook", "change").by(Role::Admin),
    change("DELETE", "/v1/webhooks/{webhook_id}", "webhook", "delete").by(Role::Admin),
    change("POST", "/v1/webhooks/{webhook_id}/secret", "webhook", "rotate").by(Role::Admin),
    change("POST", "/v1/webhooks/{webhook_id}/test", "webhook", "test"),
    read("/v1/webhooks/{webhook_id}/deliveries", "delivery").by(Role::Operator),
    change("POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", "delivery", "replay"),
    change("POST", "/v1/tokens", "token", "create").by(Role::Admin),
    read("/v1/tokens", "token").by(Role::Admin),
    read("/v1/tokens/self", "token"),
    change("DELETE", "/v1/tokens/{token_id}", "token", "delete").by(Role::Admin),
    read("/v1/audit", "audit").by(Role::Admin),
    read("/metrics", "metrics"),
];

/// A request's route, and what its path says.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The route.
    pub route: &'static Route,
    /// The product that the path names.
    pub product: Option<&'a str>,
    /// What else it names.
    pub names: Vec<&'a str>,
}

/// Finds the route of a request.
///
/// # Errors
/// `request.no-route`, or `request.method-not-allowed` when the path has routes of other methods.
pub fn find<'a>(method: &Method, path: &[&'a str]) -> Result<Found<'a>, Problem> {
    let mut fitting = ROUTES.iter().filter_map(|route| fit(route, path)).peekable();
    // Where a word fits and a name as well, the word is meant, whatever the method: it stands before in the table.
    let meant = fitting.peek().ok_or_else(Problem::no_route)?.route.path;
    let mut others = Vec::new();
    for found in fitting.filter(|found| found.route.path == meant) {
        if found.route.method == method.as_str() {
            return Ok(found);
        }
        others.push(found.route.method);
    }
    Err(Problem::method_not_allowed(others))
}

/// Fits a path to a route, whatever the method.
fn fit<'a>(route: &'static Route, path: &[&'a str]) -> Option<Found<'a>> {
    let parts = route.path.split('/').skip(1);
    if parts.clone().count() != path.len() {
        return None;
    }
    let mut found = Found { route, product: None, names: Vec::new() };
    for (part, said) in parts.zip(path) {
        if part == PRODUCT_KEY {
            found.product = Some(said);
        } else if part.starts_with('{') {
            found.names.push(said);
        } else if part != *said {
            return None;
        }
    }
    Some(found)
}

impl Route {
    const fn by(self, role: Role) -> Self {
        Self { role, ..self }
    }

    const fn unbound(self) -> Self {
        Self { unbound: true, ..self }
    }

    const fn unlisted(self) -> Self {
        Self { listed: false, ..self }
    }

    /// Tells whether it changes anything.
    pub fn is_change(&self) -> bool {
        !matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }

    /// Returns what it does, as the audit log says it: `batch.create`.
    pub fn action(&self) -> String {
        format!("{}.{}", self.noun, self.verb)
    }
}

impl Found<'_> {
    /// Lets a caller in, as far as the route and the path can tell.
    ///
    /// # Errors
    /// `request.forbidden` if the role is not enough. `request.not-found` if the path's product is not one of the caller's,
    /// whether it exists or not.
    pub fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        if caller.role < self.route.role {
            let (needed, role) = (self.route.role.as_str(), caller.role.as_str());
            return Err(Problem::forbidden(format!("this needs the role {needed}; yours is {role}")));
        }
        if self.route.unbound && caller.is_bound() {
            return Err(Problem::forbidden("this needs a token that is not bound to products"));
        }
        match self.product {
            Some(product) if !caller.scope.holds(product) => Err(Problem::not_found("product")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_core::access::Scope;
    use ota_core::ids::ProductKey;

    fn path(text: &str) -> Vec<&str> {
        text.split('/').skip(1).collect()
    }

    #[test]
    fn every_route_finds_itself() {
        for route in ROUTES {
            let found = find(&route.method.parse().unwrap(), &path(route.path)).unwrap();
            assert_eq!(found.route, route, "no two routes have the same method and path");
            let open = route.path.matches('{').count();
            assert_eq!(found.names.len() + usize::from(found.product.is_some()), open);
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_no_route() {
        let paths = ["", "/", "/v1", "/v2/products", "/v1/products/a/b", "/v1/Products"];
        for text in paths {
            assert!(find(&Method::GET, &path(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_tells_the_methods_that_it_has() {
        for method in [Method::HEAD, Method::PUT, Method::OPTIONS, Method::TRACE] {
            let problem = find(&method, &path("/v1/products")).unwrap_err();
            assert_eq!(
                (problem.code, problem.allow),
                ("request.method-not-allowed", vec!["POST", "GET"]),
                "{method}"
            );
        }
        for method in [Method::POST, Method::DELETE] {
            assert_eq!(find(&method, &path("/v1/tokens/self")).unwrap_err().allow, ["GET"]);
        }
    }

    #[test]
    fn a_path_tells_its_product_and_what_else_it_names() {
        let text = "/v1/products/a1/devices/gate/sub-devices/a2/lamp";
        let found = find(&Method::DELETE, &path(text)).unwrap();
        assert_eq!((found.product, found.names.as_slice()), (Some("a1"), ["gate", "a2", "lamp"].as_slice()));
        assert_eq!(found.route.action(), "sub-device.remove");
    }

    #[test]
    fn what_changes_something_needs_an_operator_at_least_and_what_reads_is_called_so() {
        for route in ROUTES {
            assert_eq!(route.is_change(), route.verb != "read", "{}", route.path);
            assert!(!route.is_change() || route.role >= Role::Operator, "{}", route.path);
            assert!(!route.unbound || !route.path.contains(PRODUCT_KEY), "{}", route.path);
        }
    }

    #[test]
    fn a_caller_gets_as_far_as_its_role_and_products_go() {
        let bound = |role| Caller {
            role,
            scope: Scope::Products(vec![ProductKey::new("a1").unwrap()]),
            ..Caller::root()
        };
        let code = |method: &Method, text: &str, caller: &Caller| {
            let path = path(text);
            find(method, &path).unwrap().admit(caller).err().map(|problem| problem.code)
        };
        let (get, post, put) = (&Method::GET, &Method::POST, &Method::PUT);
        assert_eq!(code(get, "/v1/products/a1", &bound(Role::Viewer)), None);
        assert_eq!(code(get, "/v1/products/a2", &bound(Role::Admin)), Some("request.not-found"));
        assert_eq!(code(post, "/v1/products/a1/modules", &bound(Role::Viewer)), Some("request.forbidden"));
        assert_eq!(code(post, "/v1/products/a2/modules", &bound(Role::Viewer)), Some("request.forbidden"));
        assert_eq!(code(put, "/v1/products/a1/security", &bound(Role::Operator)), Some("request.forbidden"));
        assert_eq!(code(put, "/v1/products/a1/security", &bound(Role::Admin)), None);
        assert_eq!(code(post, "/v1/products", &bound(Role::Admin)), Some("request.forbidden"));
        assert_eq!(code(post, "/v1/products", &Caller::root()), None);
    }
}
