//! What components see of their variables: `spin:variables@3`.

use wasmtime::component::Accessor;

use crate::bindings::imports::spin::variables::variables::{Error, Host, HostWithStore};
use crate::state::{Guest, GuestState};
use crate::template::is_variable_name;

impl Host for GuestState {}

impl<T: Send> HostWithStore<T> for Guest {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<String, Error>> {
        if !is_variable_name(&name) {
            return Ok(Err(Error::InvalidName(name)));
        }
        let value = accessor.with(|mut access| access.get().component.variables.get(&name).cloned());
        Ok(value.ok_or_else(|| {
            Error::Undefined(format!("the manifest gives the component no variable `{name}`"))
        }))
    }
}
