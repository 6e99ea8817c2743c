rule ingest:
    input:
        after("ingest"),
    output:
        summary("ingest"),
    params:
        step="ingest",
        digest=STEPS["ingest"].digest,
    threads: STEPS["ingest"].threads
    shell:
        CALL


rule ingest_slice:
    output:
        summary("ingest/{slice}"),
    params:
        step=lambda wildcards: f"ingest/{wildcards.slice}",
        digest=lambda wildcards: STEPS[f"ingest/{wildcards.slice}"].digest,
    threads: STEPS["ingest"].threads
    priority: lambda wildcards: urgency(f"ingest/{wildcards.slice}")
    shell:
        CALL
