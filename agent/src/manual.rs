//! Manual pages and completions of shells, made from the command line itself.

use clap::Command;
use clap_complete::Shell;
use std::io::{self, Write};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// No such command.
    #[error("there is no command {0}; `sidelight help` lists all")]
    Unknown(String),
    /// It cannot be written.
    #[error("the page cannot be written")]
    Output(#[from] io::Error),
}

/// Writes the completions of `command` for `shell`.
///
/// # Errors
///
/// When `out` takes nothing more.
pub fn completion(mut command: Command, shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // In one piece, as the generator panics when its writer fails.
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut text);
    out.write_all(&text)
}

/// Writes a manual page: that of the program, or of one of its commands.
///
/// # Errors
///
/// When there is no command of this name, and when `out` takes nothing more.
pub fn page(
    mut command: Command,
    of: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), ManualError> {
    command.build();
    let page = match of {
        None => command,
        Some(name) => {
            let full_name = format!("{}-{name}", command.get_name());
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| ManualError::Unknown(name.to_owned()))?.display_name(full_name)
        }
    };
    Ok(clap_mangen::Man::new(page).render(out)?)
}
