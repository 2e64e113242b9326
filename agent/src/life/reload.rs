//! SIGHUP: the config is loaded again, proven, and taken up by a new agent in the same process that
//! goes on where the old one was. What is wrong changes nothing.

use super::{Running, Sources};
use crate::admin::Admin;
use crate::app::{App, Core, Options, StartError};
use crate::config::Config;
use crate::telemetry;
use std::sync::Arc;
use std::time::Duration;

/// Tries of the old config when the new one did not start, and the pause between two. After them the
/// process ends: whoever watches it starts it anew.
const RESTARTS_MAX: u32 = 10;
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A config that was found good, and its admin port when that is another one.
struct Proven {
    config: Config,
    admin: Option<Admin>,
}

/// Takes up what the sources say now. What runs in the end is the new config or the old one.
///
/// # Errors
/// When neither starts any more.
pub(super) async fn reload(
    running: Running,
    sources: &Sources,
    options: &Options,
) -> Result<Running, StartError> {
    tracing::info!("SIGHUP: loading the config again");
    // It reads files and compiles expressions.
    let proven = tokio::task::block_in_place(|| prove(&running.config, sources));
    match proven {
        Ok(Some(proven)) => swap(running, proven, options).await,
        Ok(None) => {
            telemetry::CONFIG_RELOADS.add("unchanged", 1);
            tracing::info!("the config is unchanged: nothing to do");
            Ok(running)
        }
        Err(problems) => {
            telemetry::CONFIG_RELOADS.add("refused", 1);
            for problem in problems.lines() {
                tracing::error!("{problem}");
            }
            tracing::error!("the config was not taken up; the old one goes on");
            Ok(running)
        }
    }
}

/// The config of now when it is another one and can be used; else why it cannot.
fn prove(running: &Config, sources: &Sources) -> Result<Option<Proven>, String> {
    let config = sources.load_again(running).map_err(|problems| problems.to_string())?;
    if is_same(running, &config) {
        return Ok(None);
    }
    if config.state_dir != running.state_dir {
        return Err(
            "state_dir: another one needs a restart: the checkpoint is in the old one".into()
        );
    }
    App::prove(&config).map_err(|error| error.to_string())?;
    let is_moved = config.admin.listen != running.admin.listen;
    let admin = is_moved.then(|| Admin::bind(config.admin.listen)).transpose();
    Ok(Some(Proven { config, admin: admin.map_err(|error| error.to_string())? }))
}

/// True when both make the same agent. What the command line adds is not in the settings.
fn is_same(one: &Config, other: &Config) -> bool {
    one.settings() == other.settings()
        && one.tail == other.tail
        && one.admin == other.admin
        && one.state_dir == other.state_dir
        && one.redaction.is_same_policy(&other.redaction)
}

async fn swap(running: Running, proven: Proven, options: &Options) -> Result<Running, StartError> {
    let Running { app, config: old } = running;
    let Proven { mut config, admin } = proven;
    let mut core = app.hand_over(&old).await;
    if let Some(redactors) = Arc::get_mut(&mut config.redaction) {
        redactors.count_on_from(&old.redaction);
    }
    core.fit(&old, &config);
    let old_admin = match admin {
        Some(moved) => Some(std::mem::replace(&mut core.admin, moved)),
        None => None,
    };
    telemetry::start_log(tracing::Level::from(config.log.level).into());
    let (error, mut core) = match App::start_on(core, &config, options) {
        Ok(app) => {
            telemetry::CONFIG_RELOADS.add("applied", 1);
            tracing::info!("the new config is taken up");
            return Ok(Running { app, config });
        }
        Err(failed) => *failed,
    };
    telemetry::start_log(tracing::Level::from(old.log.level).into());
    telemetry::CONFIG_RELOADS.add("failed", 1);
    tracing::error!(%error, "the new config does not start; going back to the old one");
    core.admin = old_admin.unwrap_or(core.admin);
    restart(core, old, options).await
}

/// Starts the old config again.
async fn restart(mut core: Core, config: Config, options: &Options) -> Result<Running, StartError> {
    let mut n_tries = 1;
    loop {
        let (error, left) = match App::start_on(core, &config, options) {
            Ok(app) => return Ok(Running { app, config }),
            Err(failed) => *failed,
        };
        if n_tries == RESTARTS_MAX {
            return Err(error);
        }
        tracing::error!(%error, "the old config does not start; trying again");
        core = left;
        n_tries += 1;
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}
