//! `weir plugin new`: a small working project.

use std::path::Path;

use include_dir::{Dir, include_dir};

use super::project::{Project, part, write, write_file};
use crate::cli::{answer, say};
use crate::error::{Error, Kind, Result};
use crate::manifest::{Language, is_plugin_name};

/// What a new project is tested on.
static RECORDING: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../plugins/demo.weir");
/// What the plugin of a new project makes of it, in every language.
const EXPECTED: &[u8] = include_bytes!("../../../plugin-sdk/first.jsonl");

pub(super) fn new(name: &str, language: Language) -> Result<()> {
    if !is_plugin_name(name) {
        let message = format!("`{}` cannot be the name of a plugin", name.escape_debug());
        return Err(Error::new(Kind::Usage, message)
            .help("a name is a letter, then letters, digits, _ and -, 64 characters at most"));
    }
    let folder = Path::new(name);
    if folder.symlink_metadata().is_ok() {
        return Err(
            Error::new(Kind::Usage, format!("{name} exists")).help("name a folder that does not exist yet")
        );
    }
    let identifier = name.replace('-', "_");
    let fill = |content: &[u8]| match str::from_utf8(content) {
        Ok(text) => text.replace("{{name}}", name).replace("{{ident}}", &identifier).into_bytes(),
        Err(_) => content.to_vec(),
    };
    write(part(&format!("{}/template", language.name()))?, folder, fill)?;
    let tests = folder.join("tests");
    write(&RECORDING, &tests.join("first.weir"), <[u8]>::to_vec)?;
    write_file(&tests.join("first.jsonl"), EXPECTED)?;
    // For editors; every build does the same.
    super::build::generate(&Project::open(folder, false)?)?;
    say("note", &format_args!("{name}/README.md says what it takes to build it"));
    answer(&format!("{name} is a plugin in {}. Next: cd {name} && weir plugin test\n", language.name()))
}
