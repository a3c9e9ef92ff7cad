//! `overair package`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Body, Context, Limit};
use crate::download::{Wanted, download};
use crate::failure::Failure;
use crate::output::{Column, Section, View, cell};
use crate::upload::upload;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Uploads a file, or several, and makes a package of them.
    ///
    /// Run again after it was killed, it goes on where it was if the service can; nothing is uploaded twice.
    Upload(Upload),
    /// Lists packages, newest first.
    List {
        /// Of this product only.
        #[arg(long)]
        product: Option<String>,
        /// Of this version only.
        #[arg(long, value_name = "VERSION")]
        target_version: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a package.
    Show {
        /// The package's id.
        package: String,
    },
    /// Deletes a package that no batch is rolling out.
    Delete {
        /// The package's id.
        package: String,
    },
    /// Downloads a package's file and checks its digest.
    Download {
        /// The package's id.
        package: String,
        /// Of several files, the one of this name.
        #[arg(long, value_name = "NAME")]
        file: Option<String>,
        /// Where to put it; the file's own name here otherwise.
        #[arg(short = 'O', long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Prints the signed URL of a package, which lives 24 hours.
    Url {
        /// The package's id.
        package: String,
    },
}

#[derive(Args)]
pub(crate) struct Upload {
    /// The file; of several each has a name in the package, that of the file unless another is given.
    #[arg(required = true, value_name = "[NAME=]FILE")]
    files: Vec<String>,
    /// The product's key.
    #[arg(long)]
    product: String,
    /// The package's name: letters, digits, `-`, `_`, up to 40.
    #[arg(long)]
    name: String,
    /// The version that devices run after the upgrade.
    #[arg(long = "version", value_name = "VERSION")]
    target_version: String,
    /// The module it is for; the whole device otherwise.
    #[arg(long)]
    module: Option<String>,
    /// Says that the file is a delta, and the version that it leads from.
    #[arg(long, value_name = "VERSION")]
    delta_from: Option<String>,
    /// The digest that devices check: SHA256 or MD5.
    #[arg(long, value_name = "ALGORITHM")]
    digest_algorithm: Option<String>,
    /// A few words.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Text that is handed to devices with the package.
    #[arg(long, value_name = "TEXT")]
    udi: Option<String>,
    /// Allows batches without a trial on test devices first.
    #[arg(long)]
    no_verification: bool,
}

const VIEW: View = View {
    id: "package_id",
    order: &[
        "package_id",
        "product_key",
        "name",
        "module",
        "kind",
        "source_version",
        "target_version",
        "verification",
        "file_name",
        "size",
        "digest_algorithm",
        "digest",
        "sha256",
        "md5",
        "description",
        "udi",
        "created_at",
    ],
    sections: &[Section {
        field: "files",
        columns: &[
            Column::of("NAME", "name"),
            Column::of("FILE", "file_name"),
            Column::of("SIZE", "size"),
            Column::of("SHA256", "sha256"),
        ],
    }],
};

const COLUMNS: &[Column] = &[
    Column::of("PACKAGE", "package_id"),
    Column::of("PRODUCT", "product_key"),
    Column::of("NAME", "name"),
    Column::of("MODULE", "module"),
    Column::of("FROM", "source_version"),
    Column::of("VERSION", "target_version"),
    Column::of("SIZE", "size"),
    Column::of("VERIFICATION", "verification.status"),
    Column::of("CREATED", "created_at"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Upload(arguments) => create(arguments, context).await,
        Command::List { product, target_version, limit } => {
            let call = client.get(&["v1", "packages"]);
            let call = call.query("product_key", product).query("target_version", target_version);
            output.list(&call.list(limit.limit).await?, VIEW.id, COLUMNS)
        }
        Command::Show { package } => {
            output.show(&client.get(&["v1", "packages", &package]).send().await?, &VIEW)
        }
        Command::Delete { package } => {
            client.delete(&["v1", "packages", &package]).send().await?;
            output.done(&format!("package {package} is deleted"))
        }
        Command::Download { package, file, to } => fetch(&package, file.as_deref(), to, context).await,
        Command::Url { package } => {
            let answer = client.get(&["v1", "packages", &package, "download_url"]).send().await?;
            let value: Value = answer.read()?;
            match value["files"].as_array() {
                Some(files) if output.quiet => output.lines(files.iter().map(|file| cell(file, "url"))),
                _ => output.show(&answer, &View { id: "url", order: &["url", "files"], sections: &[] }),
            }
        }
    }
}

async fn create(arguments: Upload, context: &Context) -> Result<(), Failure> {
    let named: Vec<(String, &Path)> =
        arguments.files.iter().map(|text| name_and_file(text)).collect::<Result<_, _>>()?;
    let mut uploads = Vec::with_capacity(named.len());
    for (_, path) in &named {
        uploads.push(upload(context, path).await?);
    }
    let body = Body::default()
        .with("product_key", Some(arguments.product))
        .with("name", Some(arguments.name))
        .with("target_version", Some(arguments.target_version))
        .with("module", arguments.module)
        .with("kind", arguments.delta_from.is_some().then_some("delta"))
        .with("source_version", arguments.delta_from)
        .with("digest_algorithm", arguments.digest_algorithm)
        .with("description", arguments.description)
        .with("udi", arguments.udi)
        .with("needs_verification", arguments.no_verification.then_some(false));
    let body = match uploads.as_slice() {
        [only] => body.with("upload_id", Some(only.id.clone())),
        several => {
            let files = named
                .iter()
                .zip(several)
                .map(|((name, _), upload)| json!({ "name": name, "upload_id": upload.id }));
            body.with("files", Some(files.collect::<Value>()))
        }
    };
    let call = context.client.post(&["v1", "packages"]).json(body.done()).once_only()?;
    let answer = call.send().await?;
    for upload in uploads {
        upload.taken();
    }
    context.output.show(&answer, &VIEW)
}

/// Reads `file` or `name=file`. A file that is there is a file, whatever its name.
fn name_and_file(text: &str) -> Result<(String, &Path), Failure> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) if !Path::new(text).exists() && !name.is_empty() => (Some(name), Path::new(path)),
        _ => (None, Path::new(text)),
    };
    let own = path.file_name().and_then(|name| name.to_str());
    let name = name.or(own).with_context(|| format!("{text} names no file"))?;
    Ok((name.to_owned(), path))
}

async fn fetch(
    package: &str,
    file: Option<&str>,
    to: Option<PathBuf>,
    context: &Context,
) -> Result<(), Failure> {
    let get = async |path: &[&str]| context.client.get(path).send().await?.read::<Value>();
    let told = get(&["v1", "packages", package]).await?;
    let urls = get(&["v1", "packages", package, "download_url"]).await?;
    let (told, urls) = match (told["files"].as_array(), file) {
        (None, None) => (told.clone(), urls.clone()),
        (None, Some(_)) => {
            return Err(Failure::Usage("the package has one file, which has no name".to_owned()));
        }
        (Some(files), file) => {
            let named = |list: &Value| {
                let list = list["files"].as_array()?;
                list.iter().find(|entry| entry["name"].as_str() == file).cloned()
            };
            match (named(&told), named(&urls)) {
                (Some(told), Some(urls)) => (told, urls),
                _ => {
                    let names: Vec<String> = files.iter().map(|file| cell(file, "name")).collect();
                    let names = names.join(", ");
                    return Err(Failure::Usage(format!("say which file, with --file: {names}")));
                }
            }
        }
    };
    let text = |value: &Value, name: &str| {
        value[name].as_str().map(str::to_owned).with_context(|| format!("the answer has no `{name}`"))
    };
    let wanted = Wanted {
        url: text(&urls, "url")?,
        size: told["size"].as_u64().context("the answer has no `size`")?,
        sha256: text(&told, "sha256")?,
    };
    let to = match to {
        Some(to) => to,
        // Only the last part of it: a name from elsewhere does not choose the folder.
        None => {
            PathBuf::from(Path::new(&text(&told, "file_name")?).file_name().context("the file has no name")?)
        }
    };
    download(context, &wanted, &to).await?;
    let output = &context.output;
    if output.quiet {
        return output.lines([to.display().to_string()]);
    }
    output.done(&format!("{}: {} bytes, SHA-256 {}", to.display(), wanted.size, wanted.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_another_name_in_the_package() {
        let read = |text| name_and_file(text).map(|(name, path)| (name, path.to_owned())).ok();
        let pair = |name: &str, path: &str| Some((name.to_owned(), PathBuf::from(path)));
        assert_eq!(read("out/app.bin"), pair("app.bin", "out/app.bin"));
        assert_eq!(read("app=out/app.bin"), pair("app", "out/app.bin"));
        assert_eq!(read("=app.bin"), pair("=app.bin", "=app.bin"));
        assert_eq!(read(".."), None);
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a=b.bin");
        std::fs::write(&odd, "x").unwrap();
        assert_eq!(read(odd.to_str().unwrap()), pair("a=b.bin", odd.to_str().unwrap()));
    }
}
