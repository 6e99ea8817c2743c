rule train:
    input:
        lambda wildcards: after(f"train/{wildcards.experiment}"),
    output:
        summary("train/{experiment}"),
    params:
        step=lambda wildcards: f"train/{wildcards.experiment}",
        digest=lambda wildcards: STEPS[f"train/{wildcards.experiment}"].digest,
    threads: lambda wildcards: STEPS[f"train/{wildcards.experiment}"].threads
    priority: lambda wildcards: urgency(f"train/{wildcards.experiment}")
    shell:
        CALL
