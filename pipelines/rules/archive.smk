rule ingest:
    output:
        summary("ingest"),
    params:
        step="ingest",
        digest=STEPS["ingest"].digest,
    threads: STEPS["ingest"].threads
    shell:
        CALL
