//! Calls that are made of every colony of a namespace.

use std::future::Future;
use std::panic;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::CallError;
use crate::limits::FAN_OUT;
use crate::namespace::Namespace;
use crate::options::Options;

impl Namespace {
    /// Makes a call of each colony, some at a time, all within one deadline.
    pub(crate) async fn in_every_colony<T, F>(
        &self,
        call: impl Fn(Self, u32, Instant) -> F,
    ) -> Result<Vec<Result<T, CallError>>, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let ends = Instant::now() + self.options.deadline();
        let buckets = self.engine.buckets_of(self.name(), self.options).await?;
        let mut calls = JoinSet::new();
        let mut outcomes = Vec::new();
        for bucket in 0..buckets {
            if calls.len() >= FAN_OUT {
                outcomes.extend(calls.join_next().await);
            }
            calls.spawn(call(self.clone(), bucket, ends));
        }
        while let Some(outcome) = calls.join_next().await {
            outcomes.push(outcome);
        }
        // A task ends with an error only by a panic: none is cancelled.
        let outcome = |joined: Result<_, tokio::task::JoinError>| {
            joined.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
        };
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    /// The options of a call that has what is left of a deadline.
    pub(crate) fn until(&self, ends: Instant) -> Options {
        let mut options = self.options;
        options.deadline = ends.saturating_duration_since(Instant::now());
        options
    }
}
