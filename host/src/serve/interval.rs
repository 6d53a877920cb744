//! What the engine does when intervals end and plugins answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::engine::Engine;
use super::job::size;
use super::protocol::{Answer, Table};
use super::store::Note;
use super::tenant::TenantState;
use crate::error::{Error, Result};
use crate::event::{Output, Why};
use crate::sandbox;
use crate::snapshot::Snapshot;

impl Engine {
    /// Ends the interval of every table, and hands each tenant what is its own.
    pub(super) fn close(&mut self) -> Result<()> {
        let snapshots = self.tables.close()?;
        self.intervals += 1;
        self.store.note(Note::Alive(SystemTime::now()));
        self.audit.next_interval();
        let detached = self.tables.detached();
        let mut detached: HashMap<Arc<str>, (Why, String)> =
            detached.into_iter().map(|gone| (gone.table, (gone.why, gone.message))).collect();
        let by_name: HashMap<Arc<str>, &Snapshot> =
            snapshots.iter().map(|snapshot| (snapshot.table.clone(), snapshot)).collect();
        self.end_last(|_| true);
        for (tenant, state) in &mut self.tenants {
            let has_time = state.next_interval(self.interval);
            let knows_costs = state.knows_costs();
            let mut own = Vec::new();
            for job in state.jobs.values_mut() {
                for table in &mut job.tables {
                    let Some(snapshot) = by_name.get(&table.full) else { continue };
                    table.account.add(&snapshot.coverage);
                    let coverage = told(state.grant.as_deref(), snapshot);
                    own.push(Snapshot { coverage, ..(*snapshot).clone() });
                    let gone = detached.remove(&table.full);
                    table.account.detached |= gone.is_some();
                    let Some(client) = &mut job.client else { continue };
                    let answer = table.own(snapshot, coverage).and_then(|snapshot| Table::of(&snapshot));
                    client.put(answer.map_or_else(Answer::Failed, |table| Answer::Snapshot(Box::new(table))));
                    if let Some((why, mut message)) = gone {
                        if why == Why::Budget && !knows_costs {
                            "its programs took more than its budget".clone_into(&mut message);
                        }
                        let (table, interval) = (table.name().to_owned(), snapshot.interval.number);
                        client.put(Answer::Detached { table, interval, why, message });
                    }
                }
                let gone = job.client.as_ref().is_some_and(super::stream::Stream::is_closed);
                job.last |= job.ending || gone;
                let Some(sandbox) = &mut state.sandbox else { continue };
                for plugin in &mut job.plugins {
                    let due = has_time && plugin.supervisor.is_due();
                    sandbox.hold(plugin.number, !due || !plugin.configured);
                }
            }
            state.followers.retain(|(_, follower)| !follower.is_closed());
            let interval = snapshots.first().map(|snapshot| snapshot.interval);
            if let (Some(sandbox), Some(interval)) = (&mut state.sandbox, interval)
                && let Err(error) = sandbox.analyze(&interval, &own)
            {
                // What is wrong with one tenant is no other's business, nor its tables'.
                super::say(&format!("the plugins of {tenant} are not called: {error}"));
            }
        }
        self.end_last(|state| state.sandbox.as_ref().is_none_or(sandbox::Sandbox::idle));
        Ok(())
    }

    /// Ends jobs that have had their last interval.
    fn end_last(&mut self, of: impl Fn(&TenantState) -> bool) {
        let mut over = Vec::new();
        for (tenant, state) in self.tenants.iter_mut().filter(|(_, state)| of(state)) {
            for (name, job) in state.jobs.iter_mut().filter(|(_, job)| job.last) {
                if let Some(client) = &mut job.client {
                    client.put(Answer::Ended);
                }
                over.push((tenant.clone(), name.clone()));
            }
        }
        over.iter().for_each(|(tenant, name)| self.end(tenant, name));
    }

    /// Passes on what plugins have answered by now.
    pub(super) fn answers(&mut self) {
        let names: Vec<Arc<str>> = self.tenants.keys().cloned().collect();
        for tenant in names {
            let Some(state) = self.tenants.get_mut(&tenant) else { continue };
            let Some(sandbox) = &mut state.sandbox else { continue };
            let (pid, down) = (sandbox.pid(), sandbox.down().is_some());
            let answers = sandbox.answers();
            let went_down = !down && sandbox.down().is_some();
            let replaced = sandbox.pid() != pid;
            state.replaced += u64::from(replaced);
            if replaced || went_down {
                self.leave_out_sandbox(&tenant);
            }
            match answers {
                Ok(mut answers) => {
                    answers.sort_by_key(|answer| (answer.interval, answer.plugin));
                    // Plugins are called in this order: when the process had to be ended, the first that has not
                    // answered was the one which ran.
                    let mut blamed = false;
                    for answer in answers {
                        let ended = answer.ended;
                        self.answer(&tenant, answer, !(ended && blamed));
                        blamed |= ended;
                    }
                }
                Err(error) => super::say(&format!("the plugins of {tenant}: {error}")),
            }
            if went_down {
                self.fail_starts(&tenant);
            }
        }
        self.end_last(|state| state.sandbox.as_ref().is_none_or(sandbox::Sandbox::idle));
    }

    /// There is no process for a tenant's plugins. Whoever waits for some to be configured need not.
    fn fail_starts(&mut self, tenant: &Arc<str>) {
        let Some(state) = self.tenants.get_mut(tenant) else { return };
        let why = state.sandbox.as_ref().and_then(sandbox::Sandbox::down).unwrap_or_default().to_owned();
        let starting =
            |job: &mut super::job::Job| job.starting.take_if(|starting| !starting.waiting.is_empty());
        let over = state.jobs.iter_mut().filter_map(|(name, job)| Some((name.clone(), starting(job)?)));
        for (name, mut starting) in over.collect::<Vec<_>>() {
            let message = format!("there is no process for the tenant's plugins: {why}");
            starting.stream.put(Answer::Failed(Error::new(crate::error::Kind::Unavailable, message)));
            self.take_back(tenant, &name, &starting.change);
        }
    }

    /// One answer of a plugin, which is to blame for it if it is a fault.
    fn answer(&mut self, tenant: &Arc<str>, answer: sandbox::Answer, to_blame: bool) {
        let Some(state) = self.tenants.get_mut(tenant) else { return };
        state.used(answer.used.processor_ns);
        let Some((name, place)) = place(state, answer.plugin) else { return };
        let given = answer.outputs.len();
        let mut outputs = answer.outputs;
        outputs
            .retain(|output| matches!(output, Output::Fault { .. }) || state.admits(answer.plugin, output));
        let fault = outputs.iter().find_map(|output| match output {
            Output::Fault { reason, message } => Some((reason.clone(), message.clone())),
            _ => None,
        });
        let skipped = fault.as_ref().is_some_and(|(reason, _)| reason == "skipped");
        let outputs: Vec<(usize, Output)> =
            outputs.into_iter().map(|output| (size(&output), output)).collect();
        let bytes_out: u64 = outputs.iter().map(|(bytes, _)| *bytes as u64).sum();
        let Some(job) = state.jobs.get_mut(&name) else { return };
        let plugin = &mut job.plugins[place];
        for account in [&mut state.account, &mut plugin.account] {
            account.suppressed += (given - outputs.len()) as u64;
            account.bytes_out += bytes_out;
            if !skipped && !answer.configure {
                account.call(answer.used);
            }
            if let Some((reason, _)) = &fault {
                account.fault(reason);
            }
        }
        match &fault {
            Some(_) => {
                if !skipped && to_blame {
                    plugin.supervisor.faulted();
                    plugin.fault.clone_from(&fault);
                }
            }
            None if answer.configure => {}
            None => plugin.supervisor.went_well(),
        }
        let plugin_name = plugin.wanted.name.clone();
        for (bytes, output) in outputs {
            let (job_name, plugin, at, interval) =
                (name.clone(), plugin_name.clone(), SystemTime::now(), answer.interval);
            let told = Answer::Plugin { job: job_name, plugin, at, interval, output };
            let follows = |job: &Option<String>| job.as_ref().is_none_or(|job| *job == name);
            for (_, follower) in state.followers.iter_mut().filter(|(job, _)| follows(job)) {
                follower.put(told.clone());
            }
            if let Some(client) = &mut job.client {
                client.put(told.clone());
            }
            job.keep(bytes, told);
        }
        if answer.configure {
            self.configured(tenant, &name, answer.plugin, fault);
        }
    }

    /// A plugin was configured, or could not be.
    fn configured(&mut self, tenant: &Arc<str>, name: &str, number: usize, fault: Option<(String, String)>) {
        let Some(job) = self.tenants.get_mut(tenant).and_then(|state| state.jobs.get_mut(name)) else {
            return;
        };
        let Some(plugin) = job.plugins.iter_mut().find(|plugin| plugin.number == number) else { return };
        let Some((reason, message)) = fault else {
            plugin.configured = true;
            if let Some(starting) = &mut job.starting {
                starting.waiting.remove(&number);
            }
            return self.settle(tenant, name);
        };
        let plugin = plugin.wanted.name.clone();
        // One that could be configured, and cannot be loaded into another process, is not called any more.
        if !job.starting.as_ref().is_some_and(|starting| starting.waiting.contains(&number)) {
            if let Some(plugin) = job.plugins.iter_mut().find(|plugin| plugin.number == number) {
                plugin.supervisor.quarantine();
            }
            return;
        }
        let Some(mut starting) = job.starting.take() else { return };
        let message = crate::escape::escape(message.as_bytes()).into_owned();
        starting.stream.put(Answer::Failed(Error::new(
            crate::error::Kind::Data,
            format!("plugin {plugin}: configure failed: {reason}: {message}"),
        )));
        self.take_back(tenant, name, &starting.change);
    }

    /// When a sandbox has to be looked after.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.tenants.values().filter_map(|state| state.sandbox.as_ref()?.wake()).min()
    }
}

/// A snapshot's coverage, as far as a tenant may know it.
fn told(grant: Option<&crate::policy::Tenant>, snapshot: &Snapshot) -> crate::snapshot::Coverage {
    match grant {
        Some(tenant) => crate::policy::blurred(snapshot.coverage, tenant.grant.scope),
        None => snapshot.coverage,
    }
}

fn place(state: &TenantState, plugin: usize) -> Option<(String, usize)> {
    state.jobs.iter().find_map(|(name, job)| {
        let place = job.plugins.iter().position(|running| running.number == plugin)?;
        Some((name.clone(), place))
    })
}
