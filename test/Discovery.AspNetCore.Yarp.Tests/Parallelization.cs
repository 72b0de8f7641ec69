// The tests put load on proxies and look at shares and times.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
