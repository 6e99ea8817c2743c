-- question: what tells patients with a finding from alike patients without it
-- one row: one patient's latest frontal image, of a case or of one of its controls
-- note: an image's label goes before its study's, and that before its patient's; a label in doubt
-- (-1), or that two sources contradict, makes neither a case nor a control
-- parameter: $finding text  name of the finding that makes a case
-- parameter: $controls integer = 1  controls for each case
-- parameter: $age_band_years integer = 5  width of the age bands that are matched
-- target: group binary positive='case'
-- made of: findings
-- report: reports/case_control_balance
-- example: xray-mining cohort case_control --param finding=effusion --param controls=2
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, archive, institution_key,
        view_position, age_years, patient_sex, patient_sequence, study_year
    from eligible
),

-- step: with a patient id
identified as (
    select * exclude (patient_source)
    from present
    where patient_source != 'none'
),

-- step: frontal view, with age, and sex female or male
described as (
    select *
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years is not null
        and patient_sex in ('F', 'M')
        and if($controls >= 1, true, error('controls must be 1 or more'))
        and if($age_band_years >= 1, true, error('age_band_years must be 1 or more'))
),

-- step: the finding read as present or absent
labelled as (
    with
    named as (
        select image_key, study_key, patient_key, value
        from findings
        where name = $finding and value in (-1, 0, 1)
    ),

    by_image as (
        select image_key, if(min(value) = max(value), min(value), -1) as value
        from named
        where image_key is not null
        group by image_key
    ),

    by_study as (
        select study_key, if(min(value) = max(value), min(value), -1) as value
        from named
        where image_key is null and study_key is not null
        group by study_key
    ),

    by_patient as (
        select patient_key, if(min(value) = max(value), min(value), -1) as value
        from named
        where image_key is null and study_key is null
        group by patient_key
    ),

    stated as (
        select
            described.*,
            coalesce(by_image.value, by_study.value, by_patient.value) as value
        from described
        left join by_image on described.image_key = by_image.image_key
        left join by_study on described.study_key = by_study.study_key
        left join by_patient on described.patient_key = by_patient.patient_key
    ),

    -- an archive in which only presence is ever stated says 'absent' by its silence
    read as (
        select
            * replace (
                if(value is null and min(value) over in_archive = 1, 0, value) as value
            )
        from stated
        window in_archive as (
            partition by archive
        )
    )

    select
        * exclude (value),
        if(value = 1, 'case', 'control') as "group"
    from read
    where value in (0, 1)
),

-- step: latest image of a patient, cases by their latest image with the finding
latest as (
    select *
    from labelled
    qualify row_number() over (
        partition by patient_key
        order by "group", patient_sequence desc
    ) = 1
),

-- step: cases and their controls of the same age band, sex, view, site and year
matched as (
    with
    ranked as (
        select
            *,
            floor(age_years / $age_band_years) as age_band,
            row_number() over (
                partition by
                    "group", floor(age_years / $age_band_years), patient_sex, view_position,
                    archive, institution_key, study_year
                order by md5(patient_key::varchar)
            ) as place
        from latest
    ),

    counted as (
        select
            *,
            count(*) filter (where "group" = 'case') over stratum as cases,
            count(*) filter (where "group" = 'control') over stratum as candidates
        from ranked
        window stratum as (
            partition by
                age_band, patient_sex, view_position, archive, institution_key, study_year
        )
    )

    select image_key, "group", age_years, patient_sex, view_position, study_year
    from counted
    where
        ("group" = 'case' and place <= candidates // $controls)
        or ("group" = 'control' and place <= $controls * least(cases, candidates // $controls))
)

select image_key, "group", age_years, patient_sex, view_position, study_year
from matched
