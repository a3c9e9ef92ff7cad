//! Which function answers a path, as in `spin.toml`.

/// A function that answers HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the function of that name")]
pub enum Function {
    Access,
    BatchCreate,
    CloudApi,
    Console,
    DeviceAuth,
    Dispatch,
    Events,
    Fleet,
    Metrics,
    PackageDownload,
    PackageUpload,
    PackageVerify,
    ProgressWebhook,
    Webhooks,
}

impl Function {
    /// Its name, which is its folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::BatchCreate => "batch-create",
            Self::CloudApi => "cloud-api",
            Self::Console => "console",
            Self::DeviceAuth => "device-auth",
            Self::Dispatch => "dispatch",
            Self::Events => "events",
            Self::Fleet => "fleet",
            Self::Metrics => "metrics",
            Self::PackageDownload => "package-download",
            Self::PackageUpload => "package-upload",
            Self::PackageVerify => "package-verify",
            Self::ProgressWebhook => "progress-webhook",
            Self::Webhooks => "webhooks",
        }
    }
}

/// Every route. `:name` stands for one segment, `...` at the end for any number of them.
pub const ROUTES: &[(&str, Function)] = &[
    ("/v1/products/...", Function::Fleet),
    ("/v1/settings/...", Function::Fleet),
    ("/v1/uploads/...", Function::PackageUpload),
    ("/v1/packages/...", Function::PackageUpload),
    ("/v1/deltas/...", Function::PackageUpload),
    ("/v1/packages/:package_id/verification", Function::PackageVerify),
    ("/v1/batches/...", Function::BatchCreate),
    ("/v1/tasks/...", Function::BatchCreate),
    ("/v1/events/...", Function::Events),
    ("/v1/webhooks/...", Function::Webhooks),
    ("/v1/tokens/...", Function::Access),
    ("/v1/audit/...", Function::Access),
    ("/metrics", Function::Metrics),
    ("/", Function::Console),
    ("/console/...", Function::Console),
    ("/cloud-api/...", Function::CloudApi),
    ("/d/...", Function::PackageDownload),
    ("/internal/device-auth/...", Function::DeviceAuth),
    ("/internal/device-messages/...", Function::ProgressWebhook),
    ("/internal/dispatch/...", Function::Dispatch),
];

/// Finds the function of a path: that of the longest route that fits it.
pub(crate) fn find(path: &str) -> Option<Function> {
    let fits = ROUTES.iter().filter_map(|(route, function)| Some((fit(route, path)?, *function)));
    fits.max_by_key(|(len, _)| *len).map(|(_, function)| function)
}

/// Returns how many segments of a path a route spells out, if it fits.
fn fit(route: &str, path: &str) -> Option<usize> {
    let mut rest = path.trim_matches('/').split('/').filter(|segment| !segment.is_empty());
    let mut len = 0;
    for segment in route.split('/').filter(|segment| !segment.is_empty()) {
        if segment == "..." {
            return Some(len);
        }
        let given = rest.next()?;
        if !segment.starts_with(':') && segment != given {
            return None;
        }
        len += 1;
    }
    rest.next().is_none().then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_route_that_fits_a_path_has_it() {
        for (path, function) in [
            ("/v1/packages", Some(Function::PackageUpload)),
            ("/v1/packages/", Some(Function::PackageUpload)),
            ("/v1/packages/0af1/files/1", Some(Function::PackageUpload)),
            ("/v1/packages/0af1/verification", Some(Function::PackageVerify)),
            ("/v1/packages/0af1/verification/x", Some(Function::PackageUpload)),
            ("/v1/products/a1/devices", Some(Function::Fleet)),
            ("/", Some(Function::Console)),
            ("/console", Some(Function::Console)),
            ("/metrics", Some(Function::Metrics)),
            ("/metrics/x", None),
            ("/v1", None),
            ("/v1/productsx", None),
            ("/d/0af1", Some(Function::PackageDownload)),
            ("/internal/device-auth/login", Some(Function::DeviceAuth)),
            ("/internal", None),
        ] {
            assert_eq!(find(path), function, "{path}");
        }
    }
}
