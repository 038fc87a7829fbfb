//! `colony host`: one host process.

use std::env;
use std::path::PathBuf;

use super::args::HostArgs;
use super::failure::Failure;
use super::logging;
use super::output::Output;
use crate::config::{Layer, NodeConfig, TlsSource};

/// Runs a host until it is told to stop; `certs` is what the flag or the variable says.
pub(super) fn run(args: Box<HostArgs>, certs: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    let file = args.config.as_deref().map(Layer::from_file).transpose()?.unwrap_or_default();
    let environment = Layer::from_env(env::var_os)?;
    let (print, log_format, log) = (args.print_config, args.log_format, args.log.clone());
    let config = NodeConfig::parse(flags(*args, certs).over(environment).over(file))?;
    if print {
        let (text, json) = (config.to_toml()?, config.to_json()?);
        return output.answer(|| json, || text);
    }
    logging::start_host(&config.name, log_format, log)?;
    Ok(super::runtime()?.block_on(crate::host::run(config))?)
}

fn flags(args: HostArgs, certs: Option<PathBuf>) -> Layer {
    Layer {
        name: args.name,
        listen: args.listen,
        advertise: args.advertise,
        bootstrap: args.bootstrap.then_some(true),
        seeds: args.seeds,
        shards: args.shards,
        data_dir: args.data_dir,
        drain_timeout: args.drain_timeout,
        tls: certs.map(TlsSource::Dir),
        labels: args.labels.into_iter().collect(),
        merge_plugins: args.merge_plugins.into_iter().collect(),
        placement_plugin: args.placement_plugin,
        admin_listen: args.admin,
        admin_public: args.admin_public.then_some(true),
    }
}
