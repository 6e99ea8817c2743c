# One rule for the sets of all kinds of instrument: their stages are those of `study/instruments`.
rule measure:
    input:
        lambda wildcards: after(f"{wildcards.stage}/{wildcards.key}"),
    output:
        summary("{stage}/{key}"),
    wildcard_constraints:
        stage="|".join(kind.stage for kind in INSTRUMENTS.every().values()),
    params:
        step=lambda wildcards: f"{wildcards.stage}/{wildcards.key}",
        digest=lambda wildcards: STEPS[f"{wildcards.stage}/{wildcards.key}"].digest,
    threads: 2
    priority: lambda wildcards: urgency(f"{wildcards.stage}/{wildcards.key}")
    shell:
        CALL
