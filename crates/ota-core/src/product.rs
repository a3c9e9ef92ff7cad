//! A product: devices of one make, their modules, and the settings of their upgrades.

mod settings;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use self::settings::{
    ConflictPolicy, ProductSettings, ProductSettingsChange, ProductSettingsFields, VerificationMode,
};
use crate::error::{Coded, Faults, ValueError, check_len};
use crate::ids::{ModuleName, ProductKey, is_chinese, is_plain};
use crate::limits;
use crate::time::Timestamp;

/// A product (产品).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Issued by the service; part of every device topic.
    pub key: ProductKey,
    /// The operator's name for it, unique in the account.
    pub name: String,
    /// The custom modules; `default` is implied (R7).
    pub modules: Vec<Module>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Which behaviour holds where the documents differ.
    pub settings: ProductSettings,
}

/// An OTA module of a product (OTA模块): a part of the device that has a version of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Unique in the product, whatever its case (R2, R3); never changes (R4).
    pub name: ModuleName,
    /// A second name for people.
    pub alias: Option<String>,
    /// Up to 100 characters.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Why a product or a module cannot be made or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductError {
    /// The account has as many products as it may.
    TooManyProducts,
    /// Another product has this name.
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another module of the product has this name in some case (R3).
    ModuleExists {
        /// The name asked for.
        name: String,
    },
    /// `default` exists in every product and is not made or removed (R8).
    ModuleReserved,
    /// The product has as many custom modules as it may (R9).
    TooManyModules,
    /// The product has no such module (R27).
    ModuleUnknown {
        /// The name asked for.
        name: String,
    },
    /// The module still has packages (R10).
    ModuleInUse {
        /// How many packages.
        packages: usize,
    },
}

impl Coded for ProductError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooManyProducts => "product.too-many",
            Self::NameTaken { .. } => "product.name-taken",
            Self::ModuleExists { .. } => "module.exists",
            Self::ModuleReserved => "module.reserved",
            Self::TooManyModules => "module.too-many",
            Self::ModuleUnknown { .. } => "module.unknown",
            Self::ModuleInUse { .. } => "module.in-use",
        }
    }
}

impl fmt::Display for ProductError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyProducts => write!(f, "the account already has {} products", limits::PRODUCTS_MAX),
            Self::NameTaken { name } => write!(f, "another product is named {name}"),
            Self::ModuleExists { name } => {
                write!(f, "the product already has a module {name} (case is ignored)")
            }
            Self::ModuleReserved => write!(f, "the module `default` is the whole device; it always exists"),
            Self::TooManyModules => {
                write!(f, "the product already has {} custom modules", limits::MODULES_PER_PRODUCT_MAX)
            }
            Self::ModuleUnknown { name } => write!(f, "the product has no module {name}"),
            Self::ModuleInUse { packages } => write!(f, "the module still has {packages} packages"),
        }
    }
}

impl core::error::Error for ProductError {}

/// Checks a product's name: 4 to 30 characters, where a character outside ASCII counts as two.
///
/// # Errors
/// [`ValueError::Length`] or [`ValueError::Charset`].
pub fn check_product_name(name: &str) -> Result<(), ValueError> {
    let len: usize = name.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    let (min, max) = (limits::PRODUCT_NAME_LEN_MIN, limits::PRODUCT_NAME_LEN_MAX);
    if !(min..=max).contains(&len) {
        return Err(ValueError::Length { len, min, max });
    }
    if name.chars().any(char::is_control) {
        return Err(ValueError::Charset { allowed: "printable characters" });
    }
    Ok(())
}

impl Product {
    /// Tells whether the product has this module; `default` always exists (R7).
    pub fn has_module(&self, name: &ModuleName) -> bool {
        name.is_default() || self.modules.iter().any(|m| m.name == *name)
    }

    /// Adds a module.
    ///
    /// # Errors
    /// A reserved (R8) or taken name (R2, R3), or too many modules (R9).
    pub fn add_module(&mut self, module: Module) -> Result<(), ProductError> {
        if module.name.as_str().eq_ignore_ascii_case(ModuleName::DEFAULT) {
            return Err(ProductError::ModuleReserved);
        }
        let taken = |m: &Module| m.name.as_str().eq_ignore_ascii_case(module.name.as_str());
        if self.modules.iter().any(taken) {
            return Err(ProductError::ModuleExists { name: module.name.as_str().into() });
        }
        if self.modules.len() >= limits::MODULES_PER_PRODUCT_MAX {
            return Err(ProductError::TooManyModules);
        }
        self.modules.push(module);
        Ok(())
    }

    /// Changes what a module is called by people; its name stays (R4). Returns the module after it.
    ///
    /// # Errors
    /// `default`, of which there is nothing to change, or an unknown module.
    pub fn change_module(
        &mut self,
        name: &ModuleName,
        change: &ModuleChange,
    ) -> Result<&Module, ProductError> {
        if name.is_default() {
            return Err(ProductError::ModuleReserved);
        }
        let module = self.modules.iter_mut().find(|m| m.name == *name);
        let module = module.ok_or_else(|| ProductError::ModuleUnknown { name: name.as_str().into() })?;
        if let Some(alias) = &change.alias {
            module.alias.clone_from(alias);
        }
        if let Some(description) = &change.description {
            module.description.clone_from(description);
        }
        Ok(module)
    }

    /// Removes a module that has `packages` packages.
    ///
    /// # Errors
    /// `default` (R8), an unknown module, or one that still has packages (R10).
    pub fn remove_module(&mut self, name: &ModuleName, packages: usize) -> Result<(), ProductError> {
        if name.is_default() {
            return Err(ProductError::ModuleReserved);
        }
        let at = self.modules.iter().position(|m| m.name == *name);
        let at = at.ok_or_else(|| ProductError::ModuleUnknown { name: name.as_str().into() })?;
        if packages > 0 {
            return Err(ProductError::ModuleInUse { packages });
        }
        self.modules.remove(at);
        Ok(())
    }
}

/// A change of a module, checked. Its name is no part of it (R4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleChange {
    /// The alias from now on, or that there is none; absent leaves it.
    alias: Option<Option<String>>,
    /// The description from now on; absent leaves it.
    description: Option<String>,
}

/// Checks what an operator says of a module that exists; an empty alias takes it away. Every fault at once.
///
/// # Errors
/// The faults, with JSON pointers into the request.
pub fn check_module_change(
    alias: Option<&str>,
    description: Option<&str>,
    settings: &ProductSettings,
) -> Result<ModuleChange, Faults> {
    let mut faults = Faults::new();
    if let Some(alias) = alias.filter(|alias| !alias.is_empty()) {
        faults.take("/alias", check_alias(alias, settings));
    }
    if let Some(description) = description {
        faults.take("/description", check_len(description, 0, limits::DESCRIPTION_LEN_MAX));
    }
    faults.into_result()?;
    Ok(ModuleChange {
        alias: alias.map(|alias| (!alias.is_empty()).then(|| alias.into())),
        description: description.map(Into::into),
    })
}

/// Checks what an operator says of a new module; every fault at once.
///
/// # Errors
/// The faults, with JSON pointers into the request.
pub fn check_module(
    name: &str,
    alias: Option<&str>,
    description: &str,
    settings: &ProductSettings,
    now: Timestamp,
) -> Result<Module, Faults> {
    let mut faults = Faults::new();
    let name = faults.take("/name", ModuleName::new(name));
    if let Some(alias) = alias {
        faults.take("/alias", check_alias(alias, settings));
    }
    faults.take("/description", check_len(description, 0, limits::DESCRIPTION_LEN_MAX));
    match (name, faults.into_result()) {
        (Some(name), Ok(())) => Ok(Module {
            name,
            alias: alias.map(Into::into),
            description: description.into(),
            created_at: now,
        }),
        (_, Err(faults)) => Err(faults),
        (None, Ok(())) => Err(Faults::new()),
    }
}

/// Checks an alias: 4 to 64 of a module name's characters, or 1 to 64 with Chinese ones if the product is lenient (R5).
fn check_alias(alias: &str, settings: &ProductSettings) -> Result<(), ValueError> {
    let max = limits::MODULE_ALIAS_LEN_MAX;
    if settings.lenient_aliases {
        check_len(alias, limits::MODULE_ALIAS_LEN_MIN_LENIENT, max)?;
        let allowed = "Chinese, letters, digits, `.`, `-`, `_`";
        let good = alias.chars().all(|c| is_chinese(c) || is_plain(c));
        return if good { Ok(()) } else { Err(ValueError::Charset { allowed }) };
    }
    check_len(alias, limits::MODULE_ALIAS_LEN_MIN, max)?;
    ModuleName::new(alias).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const NOW: Timestamp = Timestamp(1);

    fn product() -> Product {
        Product {
            key: ProductKey::from_random([1; 16]),
            name: "lamp".into(),
            modules: Vec::new(),
            created_at: NOW,
            settings: ProductSettings::default(),
        }
    }

    fn module(name: &str) -> Module {
        check_module(name, None, "", &ProductSettings::default(), NOW).unwrap()
    }

    #[test]
    fn r2_r3_a_module_name_is_unique_in_its_product_whatever_its_case() {
        let mut one = product();
        one.add_module(module("scanner")).unwrap();
        assert_eq!(
            one.add_module(module("Scanner")),
            Err(ProductError::ModuleExists { name: "Scanner".into() })
        );
        assert_eq!(product().add_module(module("scanner")), Ok(()));
    }

    #[test]
    fn r5_an_alias_has_4_to_64_plain_characters() {
        let plain = ProductSettings::default();
        for (alias, good) in
            [("abc", false), ("abcd", true), (&*"a".repeat(64), true), (&*"a".repeat(65), false)]
        {
            assert_eq!(check_module("mcu", Some(alias), "", &plain, NOW).is_ok(), good, "{alias}");
        }
        assert!(check_module("mcu", Some("扫描模块"), "", &plain, NOW).is_err());
    }

    #[test]
    fn r5_a_lenient_product_takes_aliases_of_one_character_and_in_chinese() {
        let lenient = ProductSettings { lenient_aliases: true, ..ProductSettings::default() };
        for (alias, good) in [
            ("a", true),
            ("扫描模块", true),
            (&*"模".repeat(64), true),
            (&*"模".repeat(65), false),
            ("", false),
            ("a b", false),
            ("ひ", false),
        ] {
            assert_eq!(check_module("mcu", Some(alias), "", &lenient, NOW).is_ok(), good, "{alias}");
        }
    }

    #[test]
    fn r4_a_change_of_a_module_leaves_its_name() {
        let mut product = product();
        product.add_module(module("mcu")).unwrap();
        let mcu = ModuleName::new("mcu").unwrap();
        let change = |alias, description| {
            check_module_change(alias, description, &ProductSettings::default()).unwrap()
        };
        let after = product.change_module(&mcu, &change(Some("scanner"), None)).unwrap();
        let told = (after.name.as_str(), after.alias.as_deref(), after.description.as_str());
        assert_eq!(told, ("mcu", Some("scanner"), ""));
        let after = product.change_module(&mcu, &change(None, Some("reads"))).unwrap();
        assert_eq!((after.alias.as_deref(), after.description.as_str()), (Some("scanner"), "reads"));
        let after = product.change_module(&mcu, &change(Some(""), None)).unwrap();
        assert_eq!((&after.name, &after.alias), (&mcu, &None));
        let unknown = product.change_module(&ModuleName::new("MCU").unwrap(), &ModuleChange::default());
        assert_eq!(unknown, Err(ProductError::ModuleUnknown { name: "MCU".into() }));
        let default = product.change_module(&ModuleName::default_module(), &ModuleChange::default());
        assert_eq!(default, Err(ProductError::ModuleReserved));
        let faults = check_module_change(Some("abc"), Some(&"d".repeat(101)), &product.settings).unwrap_err();
        assert_eq!(faults.0.len(), 2);
    }

    #[test]
    fn r6_a_description_has_at_most_100_characters_of_any_script() {
        let plain = ProductSettings::default();
        assert!(check_module("mcu", None, &"描".repeat(100), &plain, NOW).is_ok());
        assert!(check_module("mcu", None, &"描".repeat(101), &plain, NOW).is_err());
    }

    #[test]
    fn r7_every_product_has_the_module_default() {
        assert!(product().has_module(&ModuleName::default_module()));
    }

    #[test]
    fn r8_default_is_neither_made_nor_removed() {
        assert_eq!(product().add_module(module("default")), Err(ProductError::ModuleReserved));
        let gone = product().remove_module(&ModuleName::default_module(), 0);
        assert_eq!(gone, Err(ProductError::ModuleReserved));
    }

    #[test]
    fn r9_the_eleventh_module_is_refused() {
        let mut product = product();
        for n in 0..10 {
            product.add_module(module(&format!("m{n}"))).unwrap();
        }
        assert_eq!(product.add_module(module("m10")), Err(ProductError::TooManyModules));
    }

    #[test]
    fn r10_a_module_with_packages_stays() {
        let mut product = product();
        product.add_module(module("mcu")).unwrap();
        let name = ModuleName::new("mcu").unwrap();
        assert_eq!(product.remove_module(&name, 1), Err(ProductError::ModuleInUse { packages: 1 }));
        assert_eq!(product.remove_module(&name, 0), Ok(()));
    }

    #[test]
    fn a_product_name_counts_a_chinese_character_twice() {
        assert!(check_product_name("灯泡").is_ok());
        assert!(check_product_name("lam").is_err());
        assert!(check_product_name(&"灯".repeat(16)).is_err());
    }

    #[test]
    fn every_fault_of_a_module_is_told_at_once() {
        let faults =
            check_module("a b", Some("x"), &"d".repeat(101), &ProductSettings::default(), NOW).unwrap_err();
        let pointers: Vec<&str> = faults.0.iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/alias", "/description"]);
    }
}
