//! What a policy would say of a job, without a daemon: by the same steps as a connection and the engine take.

use std::sync::Arc;
use std::time::Instant;

use super::connection::{sizes, wanted};
use super::protocol::Start;
use super::tenant::TenantState;
use crate::error::Result;
use crate::policy::Tenant;
use crate::probe::Kernel;

/// What of a job is too much for a tenant that has nothing else, as the reason's name and what was asked for.
pub(crate) fn refusals(
    start: Start,
    components: Vec<Vec<u8>>,
    kernel: &Kernel,
    tenant: &Arc<Tenant>,
) -> Result<Vec<(String, String)>> {
    sizes(&start)?;
    let mut wanted = wanted(start, components, kernel)?;
    wanted.plugins.iter_mut().for_each(|plugin| plugin.examine(&tenant.grant.trust));
    let mut state = TenantState::new(Some(tenant.clone()));
    let mut refused = state.refusals(&wanted, Instant::now());
    refused.extend(state.distrusted(&wanted));
    Ok(refused)
}
