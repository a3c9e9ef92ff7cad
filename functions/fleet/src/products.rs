//! Products and modules.

use bytes::Bytes;
use http::StatusCode;
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{ModuleName, ProductKey};
use ota_core::product::{
    Module, Product, ProductSettings, check_module, check_module_change, check_product_name,
};
use ota_http::{Problem, Request, Response, idempotency, json, page, respond};
use ota_platform::Platform;
use ota_store::check::{self, BrokenPromise};
use ota_store::{packages, products};
use serde::Serialize;

use crate::settings::ProductSettingsJson;

#[derive(Serialize)]
pub(crate) struct ProductJson {
    product_key: String,
    name: String,
    modules: Vec<ModuleJson>,
    created_at: u64,
    settings: ProductSettingsJson,
}

#[derive(Serialize)]
struct ModuleJson {
    name: String,
    alias: Option<String>,
    description: String,
    created_at: u64,
}

impl From<&Module> for ModuleJson {
    fn from(module: &Module) -> Self {
        Self {
            name: module.name.to_string(),
            alias: module.alias.clone(),
            description: module.description.clone(),
            created_at: module.created_at.0,
        }
    }
}

impl From<&Product> for ProductJson {
    fn from(product: &Product) -> Self {
        Self {
            product_key: product.key.to_string(),
            name: product.name.clone(),
            modules: product.modules.iter().map(ModuleJson::from).collect(),
            created_at: product.created_at.0,
            settings: ProductSettingsJson::from(&product.settings),
        }
    }
}

/// `POST /v1/products`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (name, reading) = document.read(|fields, faults| fields.text("name", faults));
    let mut rules = Faults::new();
    rules.take("/name", name.ok_or(ValueError::Missing).and_then(check_product_name));
    json::join(reading, rules.into_result())?;
    let identity = idempotency::identify(request, "product", document.bytes(), platform.random())?;
    check_store(platform).await?;
    let now = platform.now();
    let product = Product {
        key: ProductKey::from_random(identity.id),
        name: name.unwrap_or_default().to_owned(),
        modules: Vec::new(),
        created_at: now,
        settings: ProductSettings::default(),
    };
    let wanted = product.name.clone();
    request.about.names([&product.key]);
    request.about.product(&product.key);
    match products::create(platform.kv(), product, now).await? {
        // A product says nothing but its name, so that is what the same key must say again.
        Ok(product) if product.name == wanted => {
            Ok(respond::json(StatusCode::CREATED, &ProductJson::from(&product)))
        }
        Ok(_) => Err(idempotency::reused()),
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// Checks the store before the first product is made: without one the service does nothing else, so this is where it
/// refuses to serve on a store that does not keep its promises.
async fn check_store<P: Platform>(platform: &P) -> Result<(), Problem> {
    let kv = platform.kv();
    if !products::catalog(kv).await?.0.is_empty() {
        return Ok(());
    }
    let nonce: String = platform.random().iter().map(|byte| format!("{byte:02x}")).collect();
    check::check(kv, &nonce).await.map_err(|broken| match broken {
        BrokenPromise::Failed(error) => ota_store::StoreError::from(error).into(),
        BrokenPromise::Broken(_) => {
            let problem = Problem::new("store.broken-promise", "the store cannot be relied on");
            Problem { log: Some(broken.to_string()), ..problem }
        }
    })
}

/// `GET /v1/products`
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let from: usize = page::cursor(request, |text| text.parse().ok())?.unwrap_or(0);
    let catalog = products::catalog(platform.kv()).await?;
    let mine: Vec<&ProductKey> =
        catalog.0.iter().map(|(key, _)| key).filter(|key| request.caller.may_touch(key)).collect();
    let mut items = Vec::new();
    for key in mine.iter().skip(from).take(limit) {
        // A product that is just being made is listed by its key and has no record yet.
        if let Some(product) = products::get(platform.kv(), key).await? {
            items.push(ProductJson::from(&product));
        }
    }
    let next = from.saturating_add(limit);
    let next_cursor = (next < mine.len()).then(|| next.to_string());
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/products/{product_key}`
pub(crate) async fn get<P: Platform>(platform: &P, key: &ProductKey) -> Result<Response, Problem> {
    Ok(respond::json(StatusCode::OK, &ProductJson::from(&find(platform, key).await?)))
}

/// Returns a product, which must be there.
pub(crate) async fn find<P: Platform>(platform: &P, key: &ProductKey) -> Result<Product, Problem> {
    products::get(platform.kv(), key).await?.ok_or_else(|| Problem::not_found("product"))
}

/// `POST /v1/products/{product_key}/modules`
pub(crate) async fn add_module<P, B>(
    platform: &P,
    request: &mut Request<B>,
    key: &ProductKey,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((name, alias, description), reading) = document.read(|fields, faults| {
        (fields.text("name", faults), fields.text("alias", faults), fields.text("description", faults))
    });
    let now = platform.now();
    let settings = find(platform, key).await?.settings;
    let (name, description) = (name.unwrap_or_default(), description.unwrap_or_default());
    let module = json::join(reading, check_module(name, alias, description, &settings, now))?;
    request.about.names([&module.name]);
    let made =
        products::change(platform.kv(), key, now, |product| product.add_module(module.clone())).await?;
    match made.ok_or_else(|| Problem::not_found("product"))? {
        Ok(()) => Ok(respond::json(StatusCode::CREATED, &ModuleJson::from(&module))),
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// `PATCH /v1/products/{product_key}/modules/{name}`: the alias and the description; the name never changes (R4).
pub(crate) async fn change_module<P, B>(
    platform: &P,
    request: &mut Request<B>,
    key: &ProductKey,
    name: &ModuleName,
) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let ((alias, description), reading) =
        document.read(|fields, faults| (fields.text("alias", faults), fields.text("description", faults)));
    let settings = find(platform, key).await?.settings;
    let change = json::join(reading, check_module_change(alias, description, &settings))?;
    let changed = products::change(platform.kv(), key, platform.now(), |product| {
        product.change_module(name, &change).map(ModuleJson::from)
    });
    match changed.await?.ok_or_else(|| Problem::not_found("product"))? {
        Ok(module) => Ok(respond::json(StatusCode::OK, &module)),
        Err(refused) => Err(Problem::of(&refused)),
    }
}

/// `DELETE /v1/products/{product_key}/modules/{name}`
pub(crate) async fn remove_module<P: Platform>(
    platform: &P,
    key: &ProductKey,
    name: &ModuleName,
) -> Result<Response, Problem> {
    let catalog = packages::catalog(platform.kv()).await?;
    let of_module = |e: &&packages::PackageEntry| e.product_key == key.as_str() && e.module == name.as_str();
    let packages = catalog.0.iter().filter(of_module).count();
    let now = platform.now();
    let gone = products::change(platform.kv(), key, now, |product| product.remove_module(name, packages));
    match gone.await?.ok_or_else(|| Problem::not_found("product"))? {
        Ok(()) => Ok(respond::empty(StatusCode::NO_CONTENT)),
        Err(refused) => Err(Problem::of(&refused)),
    }
}
