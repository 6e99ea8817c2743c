rule cohort:
    input:
        lambda wildcards: after(f"cohort/{wildcards.key}"),
    output:
        summary("cohort/{key}"),
    params:
        step=lambda wildcards: f"cohort/{wildcards.key}",
        digest=lambda wildcards: STEPS[f"cohort/{wildcards.key}"].digest,
    priority: lambda wildcards: urgency(f"cohort/{wildcards.key}")
    shell:
        CALL
