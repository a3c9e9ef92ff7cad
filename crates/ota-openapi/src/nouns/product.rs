//! Products, their modules, and their signing.

use ota_core::limits;
use serde_json::json;

use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, description, flag, list, may, module_name, moment, must, named, object, page, product_key,
    request, text,
};

/// A product's name: 4 to 30 characters, of which those outside of ASCII count twice.
fn name() -> Schema {
    let says = "What people call it, unique in the account. Characters outside of ASCII count twice.";
    text().len(limits::PRODUCT_NAME_LEN_MIN / 2, limits::PRODUCT_NAME_LEN_MAX).says(says)
}

fn alias() -> Schema {
    text().len(limits::MODULE_ALIAS_LEN_MIN_LENIENT, limits::MODULE_ALIAS_LEN_MAX)
}

pub(super) fn operations() -> Vec<Operation> {
    let product = || named("Product");
    vec![
        operation("createProduct", "POST", "/v1/products", "Makes a product")
            .once()
            .body(request([must("name", name())]), vec![("A product", json!({"name": "Table lamp"}))])
            .answers(201, "The product.", product())
            .refuses(&["product.too-many", "product.name-taken", "store.broken-promise"]),
        operation("listProducts", "GET", "/v1/products", "Lists products")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of products.", page(product())),
        operation("getProduct", "GET", "/v1/products/{product_key}", "Shows a product").answers(
            200,
            "The product.",
            product(),
        ),
        operation("changeProduct", "PATCH", "/v1/products/{product_key}", "Changes a product's settings")
            .says("What the request does not name stays as it is.")
            .body(
                request([must("settings", named("ProductSettingsChange"))]),
                vec![("Tags that can be edited", json!({"settings": {"editable_tags": true}}))],
            )
            .answers(200, "The product.", product()),
        operation("createModule", "POST", "/v1/products/{product_key}/modules", "Adds a module")
            .body(
                request([
                    must("name", module_name()),
                    may("alias", alias()),
                    may("description", description()),
                ]),
                vec![(
                    "A module",
                    json!({"name": "radio", "alias": "radio-unit", "description": "Firmware of the radio"}),
                )],
            )
            .answers(201, "The module.", named("Module"))
            .refuses(&["module.exists", "module.too-many", "module.reserved"]),
        operation(
            "changeModule",
            "PATCH",
            "/v1/products/{product_key}/modules/{name}",
            "Changes a module's alias or description",
        )
        .says("The name never changes. An empty alias takes it away.")
        .optional_body(
            request([
                may("alias", text().len(0, limits::MODULE_ALIAS_LEN_MAX)),
                may("description", description()),
            ]),
            vec![("Without an alias", json!({"alias": "", "description": "The control unit"}))],
        )
        .answers(200, "The module.", named("Module"))
        .refuses(&["module.unknown", "module.reserved"]),
        operation("deleteModule", "DELETE", "/v1/products/{product_key}/modules/{name}", "Removes a module")
            .ends(204, "It is gone.")
            .refuses(&["module.unknown", "module.reserved", "module.in-use"]),
        operation(
            "getSecurity",
            "GET",
            "/v1/products/{product_key}/security",
            "Tells whether pushes are signed",
        )
        .faults(&[])
        .answers(200, "The signing of the product.", named("Security")),
        operation("setSecurity", "PUT", "/v1/products/{product_key}/security", "Switches signing on or off")
            .says("The key pair is made when signing is first switched on; it is never replaced.")
            .body(request([must("enabled", flag())]), vec![("Switched on", json!({"enabled": true}))])
            .answers(200, "The signing of the product.", named("Security"))
            .refuses(&["security.key-sealed", "security.failed"]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let module = object([
        must("name", module_name()),
        must("alias", alias().nullable().says("A second name for people.")),
        must("description", description()),
        must("created_at", moment("When it was made.")),
    ]);
    let product = object([
        must("product_key", product_key()),
        must("name", name()),
        must(
            "modules",
            list(named("Module")).says("The module `default` is in every product and not in this list."),
        ),
        must("created_at", moment("When it was made.")),
        must("settings", named("ProductSettings")),
    ]);
    let public_key =
        text().says("What devices check signatures with, as PEM; told only while signing is enabled.");
    let security = object([must("enabled", flag()), may("public_key", public_key)]);
    vec![("Module", module), ("Product", product), ("Security", security)]
}
