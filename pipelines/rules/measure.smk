rule features:
    input:
        lambda wildcards: after(f"features/{wildcards.key}"),
    output:
        summary("features/{key}"),
    params:
        step=lambda wildcards: f"features/{wildcards.key}",
        digest=lambda wildcards: STEPS[f"features/{wildcards.key}"].digest,
    threads: 2
    priority: lambda wildcards: urgency(f"features/{wildcards.key}")
    shell:
        CALL


rule embed:
    input:
        lambda wildcards: after(f"embed/{wildcards.key}"),
    output:
        summary("embed/{key}"),
    params:
        step=lambda wildcards: f"embed/{wildcards.key}",
        digest=lambda wildcards: STEPS[f"embed/{wildcards.key}"].digest,
    threads: 2
    priority: lambda wildcards: urgency(f"embed/{wildcards.key}")
    shell:
        CALL
