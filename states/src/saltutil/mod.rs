//! What `saltutil.sync_*` share: there is nothing to bring.

/// Makes a state of which there is never anything to do.
macro_rules! synced {
    ($state:ident, $name:literal) => {
        impl corpus_core::State for $state {
            const NAME: &'static str = $name;
            const OPEN: bool = true;

            fn plan(&self, _: &corpus_core::PlanCx<'_>) -> Result<corpus_core::Plan, corpus_core::StateError> {
                Ok(corpus_core::Plan::unchanged("No updates to sync"))
            }
        }
    };
}
pub(crate) use synced;
